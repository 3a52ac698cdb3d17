"""HailoRT's API for networks that are run one step at a time: HEF, InferModel, bindings. As in pyhailort.py of 4.23 and 5.2."""

from collections.abc import Sequence
from enum import IntEnum
from types import SimpleNamespace
from typing import Any, Self

import numpy as np

from hailo_platform.emulation.network import Edge
from hailo_platform.pyhailort import _pyhailort
from hailo_platform.pyhailort._pyhailort import HailoRTException, HailoRTStatusException
from hailo_platform.pyhailort.errors import wrapped

Array = np.ndarray[Any, Any]


class FormatType(IntEnum):
    AUTO = 0
    UINT8 = 1
    UINT16 = 2
    FLOAT32 = 3


TYPES: dict[FormatType, np.dtype[Any]] = {
    FormatType.UINT8: np.dtype(np.uint8),
    FormatType.UINT16: np.dtype(np.uint16),
    FormatType.FLOAT32: np.dtype(np.float32),
}


def _one(edges: Sequence[Edge], name: str) -> Edge:
    """The edge of that name, or the only one. Raises a bare code."""
    found = [edge for edge in edges if edge.name == name or (name == "" and len(edges) == 1)]
    if not found:
        raise HailoRTStatusException("61")
    return found[0]


class HEF:
    def __init__(self, hef_source: str | bytes) -> None:
        if not isinstance(hef_source, str):
            raise ValueError("HEF can only be created from a file path (str) or a buffer (bytes)")
        with wrapped():
            self._hef = _pyhailort.Hef(hef_source)

    def get_network_group_names(self) -> list[str]:
        return [self._hef.network.name]

    def get_input_vstream_infos(self, name: str | None = None) -> list[Any]:
        return [self._info(edge) for edge in self._hef.network.inputs]

    def get_output_vstream_infos(self, name: str | None = None) -> list[Any]:
        return [self._info(edge) for edge in self._hef.network.outputs]

    def get_sorted_output_names(self, network_group_name: str | None = None) -> list[str]:
        return [edge.name for edge in self._hef.network.outputs]

    def _info(self, edge: Edge) -> Any:
        return SimpleNamespace(
            name=edge.name, shape=edge.shape, network_name=f"{self._hef.network.name}/{self._hef.network.name}"
        )


class InferModel:
    class InferStream:
        def __init__(self, model: _pyhailort.InferModel, edge: Edge) -> None:
            self._model = model
            self._edge = edge

        @property
        def name(self) -> str:
            return self._edge.name

        @property
        def shape(self) -> list[int]:
            return [*self._edge.shape]

        def set_format_type(self, type: FormatType) -> None:  # noqa: A002 - its name in HailoRT
            self._model.types[self._edge.name] = TYPES[type]

    def __init__(self, infer_model: _pyhailort.InferModel, hef_path: str) -> None:
        # Keeps the device alive, as the original does.
        self._infer_model = infer_model
        self._hef_path = hef_path

    @property
    def hef(self) -> HEF:
        return HEF(self._hef_path)

    def configure(self) -> "ConfiguredInferModel":
        with wrapped():
            return ConfiguredInferModel(_pyhailort.ConfiguredInferModel(self._infer_model), self)

    @property
    def input_names(self) -> list[str]:
        return [edge.name for edge in self._infer_model.network.inputs]

    @property
    def output_names(self) -> list[str]:
        # Not the network's order: whoever joins the outputs has to ask for that.
        return sorted((edge.name for edge in self._infer_model.network.outputs), reverse=True)

    def input(self, name: str = "") -> "InferModel.InferStream":
        with wrapped():
            return self.InferStream(self._infer_model, _one(self._infer_model.network.inputs, name))

    def output(self, name: str = "") -> "InferModel.InferStream":
        with wrapped():
            return self.InferStream(self._infer_model, _one(self._infer_model.network.outputs, name))


class ConfiguredInferModel:
    class Bindings:
        class InferStream:
            def __init__(self) -> None:
                self._buffer: Array | None = None
                self.fresh = False

            def set_buffer(self, buffer: Array) -> None:
                with wrapped():
                    if not buffer.flags.c_contiguous:
                        raise HailoRTException("Buffer must be C_CONTIGUOUS")
                    if not buffer.flags.writeable:
                        raise ValueError("array is not writeable")
                self._buffer = buffer
                self.fresh = True

            def get_buffer(self, tf_format: bool | None = False) -> Array | None:
                return self._buffer

        def __init__(self, model: InferModel) -> None:
            self._network = model._infer_model.network
            self._streams: dict[str, ConfiguredInferModel.Bindings.InferStream] = {}

        def input(self, name: str = "") -> "ConfiguredInferModel.Bindings.InferStream":
            return self._stream(self._network.inputs, name)

        def output(self, name: str = "") -> "ConfiguredInferModel.Bindings.InferStream":
            return self._stream(self._network.outputs, name)

        def buffers(self) -> dict[str, Array]:
            """Those that were set. After a run, the original writes to memory of its own unless an output's is set anew."""
            stale = [
                edge.name for edge in self._network.outputs if edge.name in self._streams and not self._streams[edge.name].fresh
            ]
            if stale:
                raise RuntimeError(f"the emulator refuses {stale}, which was not set since the last run")
            for edge in self._network.outputs:
                if edge.name in self._streams:
                    self._streams[edge.name].fresh = False
            return {name: stream._buffer for name, stream in self._streams.items() if stream._buffer is not None}

        def _stream(self, edges: Sequence[Edge], name: str) -> "ConfiguredInferModel.Bindings.InferStream":
            with wrapped():
                return self._streams.setdefault(_one(edges, name).name, self.InferStream())

    def __init__(self, configured_infer_model: _pyhailort.ConfiguredInferModel, infer_model: InferModel) -> None:
        self._configured_infer_model: _pyhailort.ConfiguredInferModel | None = configured_infer_model
        self._infer_model = infer_model

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._configured_infer_model = None

    def create_bindings(
        self, input_buffers: dict[str, Array] | None = None, output_buffers: dict[str, Array] | None = None
    ) -> "ConfiguredInferModel.Bindings":
        bindings = self.Bindings(self._infer_model)
        for name, buffer in (input_buffers or {}).items():
            bindings.input(name).set_buffer(buffer)
        for name, buffer in (output_buffers or {}).items():
            bindings.output(name).set_buffer(buffer)
        return bindings

    def run(self, bindings: "list[ConfiguredInferModel.Bindings]", timeout: int) -> None:
        self.run_async(bindings).wait(timeout)

    def run_async(self, bindings: "list[ConfiguredInferModel.Bindings]", callback: Any = None) -> "AsyncInferJob":
        assert self._configured_infer_model is not None, "it is not configured any more"
        return AsyncInferJob(self._configured_infer_model, [binding.buffers() for binding in bindings])


class AsyncInferJob:
    def __init__(self, configured: _pyhailort.ConfiguredInferModel, frames: list[dict[str, Array]]) -> None:
        self._configured = configured
        self._frames = frames

    def wait(self, timeout_ms: int) -> None:
        with wrapped():
            for buffers in self._frames:
                self._configured.run(buffers, timeout_ms)

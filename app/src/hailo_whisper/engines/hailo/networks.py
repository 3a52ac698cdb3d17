"""The encoder and the decoder as networks on the device: mel features in, logits out.

By HailoRT's InferModel, which 4.20 and later have for every device. Shapes are read from the HEFs; see docs/hailo.md.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...models.cure import pulling
from ...models.hefs import Network
from ..trouble import Trouble
from .binding import Binding, Device, dotted, install, spoken
from .mel import FRAMES, Features

RUN_MS = 10_000
"""How long one run may take. It takes milliseconds, and some more where others share the device: then it is lost."""
MELS = 80

Encoded = NDArray[np.float32]


def anew() -> str:
    """What to do about files that do not fit together: a sentence."""
    return f"The files of a model were made for one another: {pulling(again=True)}."


class _Loaded:
    """A network on the device, of which each run is one frame."""

    def __init__(self, device: Device, platform: Any, path: Path) -> None:
        with spoken(f"loading {path.name}"):
            hef = platform.HEF(str(path))
            self.name = str(hef.get_network_group_names()[0])
            self._model = device.vdevice.create_infer_model(str(path))
            self.inputs = [str(info.name) for info in hef.get_input_vstream_infos()]
            # In the network's order, which the model's own names are not in.
            self.outputs = [str(name) for name in hef.get_sorted_output_names()]
            for stream in (*map(self._model.input, self.inputs), *map(self._model.output, self.outputs)):
                stream.set_format_type(platform.FormatType.FLOAT32)
            self.shapes = {name: _shape(self._model.input(name)) for name in self.inputs}
            self.shapes |= {name: _shape(self._model.output(name)) for name in self.outputs}
            self._configured = self._model.configure()
            self._bindings = self._configured.create_bindings()

    def run(self, inputs: dict[str, NDArray[np.float32]], doing: str) -> dict[str, NDArray[np.float32]]:
        """One frame through the network. Raises DeviceTrouble."""
        # Of its own: the original reads from the pointer whatever the strides, and refuses memory that is read-only.
        given = {name: np.array(inputs[name], np.float32, order="C").reshape(self.shapes[name]) for name in self.inputs}
        # New for every run: the original leaves its own memory in their place.
        taken = {name: np.empty(self.shapes[name], np.float32) for name in self.outputs}
        with spoken(doing):
            for name, buffer in given.items():
                self._bindings.input(name).set_buffer(buffer)
            for name, buffer in taken.items():
                self._bindings.output(name).set_buffer(buffer)
            self._configured.run([self._bindings], RUN_MS)
        return taken

    def close(self) -> None:
        """Take it off the device."""
        self._configured.__exit__(None, None, None)
        self._bindings = self._model = None


class Pair:
    """The device with an encoder and a decoder on it. After `close` it is of no more use."""

    def __init__(self, binding: Binding, device: Device, network: Network) -> None:
        """Load both. The device is the pair's from now on, once this has come back. Raises Trouble."""
        if not hasattr(binding.platform, "HEF") or not hasattr(binding.platform.VDevice, "create_infer_model"):
            raise Trouble(f"HailoRT {dotted(binding.version)} cannot run a network step by step: 4.20 and newer can. {install()}")
        self._vectors = _vectors(network.embedding)
        self._device: Device | None = device
        encoder, decoder = network.hefs
        self._encoder = _Loaded(device, binding.platform, encoder)
        self._decoder = _Loaded(device, binding.platform, decoder)
        self._check(encoder, decoder)

    @property
    def vocabulary(self) -> int:
        """How many tokens there are."""
        return len(self._vectors)

    @property
    def frames(self) -> int:
        """Of features, that the encoder takes at a time."""
        return self._encoder.shapes[self._encoder.inputs[0]][1]

    @property
    def seconds(self) -> float:
        """Of sound, that the encoder takes at a time."""
        return self.frames / FRAMES

    @property
    def places(self) -> int:
        """How many tokens the decoder takes, those of the prompt counted in."""
        return self._decoder.shapes[self._tokens][1]

    def encode(self, features: Features) -> Encoded:
        """Encode features of shape (mels, frames)."""
        (name,) = self._encoder.inputs
        # Heights, widths and channels last, as the device has them.
        found = self._encoder.run({name: features.T[None]}, "encoding")
        return found[self._encoder.outputs[0]]

    def logits(self, encoded: Encoded, tokens: Sequence[int], since: int = 0) -> NDArray[np.float32]:
        """Those after each of the tokens from token `since` on, no more than `places` in all: shape (tokens - since, vocabulary)."""
        rows = np.zeros(self.places, np.int64)
        rows[: len(tokens)] = tokens
        inputs = {self._sound: encoded, self._tokens: self._vectors[rows][None]}
        found = self._decoder.run(inputs, "decoding")
        return np.concatenate([found[name][0, since : len(tokens)] for name in self._parts], axis=1)

    def close(self) -> None:
        """Give the device back."""
        device, self._device = self._device, None
        if device is not None:
            self._decoder.close()
            self._encoder.close()
            device.release()

    def _check(self, encoder: Path, decoder: Path) -> None:
        """Find out what is what. Raises Trouble when the files do not fit together."""
        into, outof, shapes = self._encoder.inputs, self._encoder.outputs, self._encoder.shapes
        if len(into) != 1 or len(outof) != 1 or shapes[into[0]][::2] != (1, MELS):
            raise Trouble(
                f"{encoder} is no encoder of a Whisper with {MELS} mel bands: it has {_described(self._encoder)}. {anew()}"
            )
        width = self._vectors.shape[1]
        named = {name.rpartition("/")[2]: name for name in self._decoder.inputs}
        self._sound, self._tokens = named.get("input_layer1", ""), named.get("input_layer2", "")
        takes = self._decoder.shapes
        if len(named) != 2 or takes.get(self._sound) != shapes[outof[0]] or takes.get(self._tokens, (0, 0, 0))[::2] != (1, width):
            raise Trouble(
                f"{decoder} does not fit {encoder.name} and tokens of {width} numbers: it has {_described(self._decoder)}. {anew()}"
            )
        parts = [name for name in self._decoder.outputs if "conv" in name.rpartition("/")[2]]
        columns = sum(takes[name][2] for name in parts)
        if columns != self.vocabulary or any(takes[name][:2] != (1, self.places) for name in parts):
            raise Trouble(f"{decoder} knows {columns} tokens, and there are vectors of {self.vocabulary}. {anew()}")
        self._parts = parts


def _shape(stream: Any) -> tuple[int, int, int]:
    # Height, width and features; the last of them alone where the network has no others.
    height, width, features = [1, 1, *(int(size) for size in stream.shape)][-3:]
    return height, width, features


def _described(loaded: _Loaded) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in loaded.shapes.items())


def _vectors(path: Path | None) -> NDArray[np.float32]:
    """The tokens' vectors: shape (vocabulary, width). Raises Trouble."""
    if path is None:
        raise Trouble(f"The tokens' vectors are missing. {anew()}")
    try:
        found = np.load(path, allow_pickle=False)
    except OSError as error:
        raise Trouble(f"{path} cannot be read: {error.strerror or error}. {anew()}") from None
    except ValueError as error:
        raise Trouble(f"{path} is no numpy file: {error}. {anew()}") from None
    if not isinstance(found, np.ndarray) or found.ndim != 2 or found.dtype.kind != "f":
        raise Trouble(f"{path} has no vectors of tokens in it. {anew()}")
    return found.astype(np.float32, copy=False)

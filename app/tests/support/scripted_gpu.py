"""CUDA as CTranslate2 shows it, scripted: what the GPU is and how it fails is in the model's folder, and holds at once when it is changed.

Whisper itself is the fake one, which hears the package's clip in everything. The messages are those of CTranslate2's src/cuda (CUDA_CHECK,
CUBLAS_CHECK, cublas_stub.cc) and of Thrust, as people have reported them.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ctranslate2
from fake_whisper import FakeModel, FakeWhisper, Patch, install, result

from hailo_whisper.accelerators import cuda_memory, nvidia
from hailo_whisper.accelerators.nodes import Node
from hailo_whisper.engines.ctranslate2 import CTranslate2Engine
from hailo_whisper.engines.engine import ModelConfig
from hailo_whisper.engines.warm_up import clip_text
from hailo_whisper.models import weights

ENGINE = "scripted_gpu:ScriptedGpu"
FROM_ARRAY = ctranslate2.StorageView.from_array
"""CTranslate2's own, which the fakes stand in for."""

NO_MEMORY = "CUDA failed with error out of memory"
LEFT_OVER = "parallel_for failed: cudaErrorInvalidDevice: invalid device ordinal"
"""What the first kernel after an allocation that failed may say."""
STICKY = "CUDA failed with error an illegal memory access was encountered"
GONE = "CUDA failed with error no CUDA-capable device is detected"
NO_CUBLAS = "Library libcublas.so.12 is not found or cannot be loaded"
NO_CUDNN = "Unable to load any of {libcudnn_ops.so.9.1.0, libcudnn_ops.so.9.1, libcudnn_ops.so.9, libcudnn_ops.so}"
NODES = tuple(Node(f"/dev/{name}", "root", "root", 0o666, True) for name in ("nvidia0", "nvidiactl", "nvidia-uvm"))
WHOLE = nvidia.Nvidia((), NODES, "550.1", (), {})
TYPES = ("float32", "float16", "bfloat16", "int8", "int8_float32", "int8_float16", "int8_bfloat16")
"""Of an Ampere or newer."""
LARGE = weights.Shape(1_543_000_000, 1280, 32)
"""large-v3."""


@dataclass(frozen=True)
class Gpu:
    """What there is, and what goes wrong with it."""

    count: int = 1
    types: tuple[str, ...] = TYPES
    free: int = 20_000_000_000
    """Bytes, beside the model."""
    total: int = 24_000_000_000
    holds: float = 1e9
    """Seconds of sound that are decoded together without running out of memory."""
    leaves: bool = False
    """Whether an allocation that failed is told once more by the next kernel."""
    at_load: str | None = None
    at_work: str | None = None
    """What CUDA says over everything but the warm-up, which has no prompt."""

    def write(self, folder: Path) -> None:
        """Have it so from now on."""
        # Whole or not at all: the worker may be reading.
        (folder / "gpu.new").write_text(json.dumps(asdict(self)))
        (folder / "gpu.new").rename(folder / "gpu.json")


def read(folder: Path) -> Gpu:
    """What it is now."""
    try:
        return Gpu(**json.loads((folder / "gpu.json").read_text()))
    except FileNotFoundError:
        return Gpu()


class GpuWhisper(FakeWhisper):
    """CTranslate2's model, on that GPU."""

    def __init__(self, folder: Path, compute_type: str) -> None:
        super().__init__()
        self.compute_type = "int8_float16" if compute_type in ("auto", "default", "int8") else compute_type
        self.folder = folder
        self.batches: list[int] = []
        self.answer = lambda _, asked: result(clip_text())
        self._left = False

    def encode(self, features: Any, *, to_cpu: bool) -> Any:
        encoded = super().encode(features, to_cpu=to_cpu)
        # As CTranslate2 gives it: in the format that it computes in, of which numpy does not know this one.
        return FROM_ARRAY(encoded).to(ctranslate2.DataType.bfloat16) if "bfloat16" in self.compute_type else encoded

    def generate(self, encoded: Any, prompts: list[list[int]], **asked: Any) -> list[Any]:
        gpu, seconds = read(self.folder), encoded.shape[0] * encoded.shape[1] / 50
        if gpu.at_work and len(prompts[0]) > 1:
            raise RuntimeError(gpu.at_work)
        if self._left:
            self._left = False
            raise RuntimeError(LEFT_OVER)
        if seconds > gpu.holds:
            self._left = gpu.leaves
            raise RuntimeError(NO_MEMORY)
        self.batches.append(len(prompts))
        return super().generate(encoded, prompts, **asked)


class GpuModel(FakeModel):
    """faster-whisper's model."""

    def __init__(self, path: str, **how: Any) -> None:
        super().__init__(path, **how)
        if how["device"] == "cuda":
            if (said := read(Path(path)).at_load) is not None:
                raise RuntimeError(said)
            self.model = GpuWhisper(Path(path), how["compute_type"])


def put_in(folder: Path, patch: Patch) -> None:
    """Have this process see the GPU of a model's folder."""
    install(patch, GpuModel)
    patch(ctranslate2, "get_cuda_device_count", lambda: read(folder).count)
    patch(ctranslate2, "get_supported_compute_types", lambda *_: set(read(folder).types))
    patch(cuda_memory, "look", lambda _: cuda_memory.Memory(read(folder).free, read(folder).total))
    patch(weights, "shape", lambda _: LARGE)
    patch(nvidia, "survey", lambda _: WHOLE)


class ScriptedGpu(CTranslate2Engine):
    """The engine itself, in a worker of its own."""

    def load(self, config: ModelConfig) -> None:
        put_in(config.path, setattr)
        super().load(ModelConfig(**{**vars(config), "device": "cuda"}))

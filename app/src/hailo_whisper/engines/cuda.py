"""An NVIDIA GPU for CTranslate2: its libraries made findable, and what goes wrong with it as a sentence. Runs in the worker."""

import ctypes
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..accelerators import cuda_memory, cuda_probe, nvidia
from ..models import weights
from . import gpu_memory
from .trouble import DeviceTrouble, NoMemory, Trouble

ROOT = Path("/")
OR_CPU = "Or set engine.kind to ctranslate2 (the CPU), or to auto, which takes the CPU where the GPU cannot be used. `hailo-whisper doctor` tells more."
NO_MEMORY = (
    "The GPU has too little memory left (`nvidia-smi` shows who has it): stop other programs on it, set model.compute_type to int8_float16, "
    "or take a smaller model."
)
# The last is what kernels say after an allocation that failed, now and then, though nothing is wrong with the device's number.
SHORT = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "parallel_for failed: cudaErrorInvalidDevice")
"""Signs of too little memory."""
OTHER_TYPE = "This GPU does not compute in that format: set model.compute_type to auto, or to float16."
# What CUDA's runtime and CTranslate2 say, with the cure. The first that is found in a message is taken. What may pass without a change to this
# machine or its configuration is a device's trouble, that is tried again soon.
CURES: tuple[tuple[str, type[Trouble], str], ...] = (
    (
        "driver version is insufficient",
        Trouble,
        "Update the NVIDIA driver to 525 or newer, and restart the machine.",
    ),
    *((sign, NoMemory, NO_MEMORY) for sign in SHORT),
    (
        "no CUDA-capable device",
        DeviceTrouble,
        "The driver shows no GPU to this program: see `nvidia-smi`, and whether CUDA_VISIBLE_DEVICES is set.",
    ),
    (
        "is not found or cannot be loaded",
        DeviceTrouble,
        f"The libraries of CUDA 12 are missing: {nvidia.bringing(nvidia.PACKAGES[nvidia.CUBLAS])}.",
    ),
    (
        "cudnn",
        DeviceTrouble,
        f"The libraries of cuDNN 9 are missing or do not fit: {nvidia.bringing(nvidia.PACKAGES[nvidia.CUDNN])}.",
    ),
    ("not compiled with CUDA", Trouble, "On this kind of processor the packages of CTranslate2 are made for the CPU only."),
    ("compute type", Trouble, OTHER_TYPE),
    ("CUBLAS_STATUS_NOT_SUPPORTED", Trouble, OTHER_TYPE),
)


@contextmanager
def usable(model: Path, index: int = 0, survey: Callable[[Path], nvidia.Nvidia] | None = None) -> Iterator[None]:
    """Have the libraries loaded while a model is, from its folder to the GPU of that number; what CUDA raises comes out as Trouble."""
    if (lacks := nvidia.lacking(found := (survey or nvidia.survey)(ROOT))) is not None:
        raise DeviceTrouble(f"The GPU cannot be used: {lacks}. {OR_CPU}")
    # CTranslate2 asks for cuBLAS by its name, and is given what has been loaded under it, wherever that lies.
    for name, place in found.libraries.items():
        _load(name, str(place))
    # After the libraries, and late because it takes a while.
    import ctranslate2

    with _told_how_much(model, index), failing():
        count = ctranslate2.get_cuda_device_count()
        if not count:
            # It does not say why; the driver does, unless CTranslate2 was made without CUDA.
            said = cuda_probe.answer()
            why = ": ".join(str(said[part]) for part in ("trouble", "cure") if said.get(part)) or (
                "CTranslate2 finds none. On this kind of processor its packages may be made for the CPU only"
            )
            raise DeviceTrouble(f"The GPU cannot be used: {why}. {OR_CPU}")
        if index >= count:
            there = "the only GPU is number 0" if count == 1 else f"the GPUs are numbers 0 to {count - 1}"
            raise Trouble(
                f"There is no GPU of number {index} for this program (cuda.device_index): {there}. `nvidia-smi -L` shows them."
            )
        yield


def room(model: Path, compute_type: str, index: int, lanes: int) -> float | None:
    """Seconds of sound that each of so many lanes may decode together, in the memory that is free beside a loaded model.

    0 when it is too little to be sure even of one window; None when nobody knows.
    """
    shape, memory = _shape(model), cuda_memory.look(index)
    return max(gpu_memory.seconds(memory.free, shape, compute_type, lanes), 0.0) if shape and memory else None


def short(error: Exception) -> bool:
    """Whether what CUDA or CTranslate2 raised is that memory ran out, after which the process can go on."""
    return any(sign.lower() in str(error).lower() for sign in SHORT)


@contextmanager
def failing() -> Iterator[None]:
    """What CUDA raises comes out as Trouble; of a model that is loaded it is DeviceTrouble, as a process that CUDA has failed once is lost to it."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        if (found_trouble := trouble(error)) is None:
            raise
        raise found_trouble from error


def trouble(error: Exception) -> Trouble | None:
    """The error as a sentence with its cure; None for one that is not about the GPU."""
    said = str(error).rstrip(".")
    for sign, kind, cure in CURES:
        if sign.lower() in said.lower():
            return kind(f"The GPU cannot be used: {said}. {cure} {OR_CPU}")
    if re.search(r"\bcuda|cublas", said, re.IGNORECASE):
        return DeviceTrouble(f"The GPU failed: {said}. `dmesg | grep NVRM` has the driver's view. {OR_CPU}")
    return None


@contextmanager
def _told_how_much(model: Path, index: int) -> Iterator[None]:
    """Where memory is too short for a model, say how much there was before, and how much it takes."""
    memory = cuda_memory.look(index)
    try:
        yield
    except NoMemory as error:
        shape = _shape(model)
        needed = (
            f"The model takes about {gpu_memory.least(shape, 'int8_float16') // cuda_memory.MB} MB in int8_float16"
            if shape
            else ""
        )
        raise NoMemory(
            " ".join(filter(None, [f"{error}", needed and f"{needed}{f', and {memory}' if memory else ''}."]))
        ) from None


def _shape(model: Path) -> weights.Shape | None:
    try:
        return weights.shape(model / "model.bin")
    except OSError:
        return None


def _load(name: str, place: str) -> None:
    try:
        ctypes.CDLL(place, mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        raise Trouble(f"The GPU cannot be used: {name} cannot be loaded ({error}). Install it again. {OR_CPU}") from None

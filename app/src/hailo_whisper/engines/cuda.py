"""An NVIDIA GPU for CTranslate2: its libraries made findable, and what goes wrong with it as a sentence. Runs in the worker."""

import ctypes
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..accelerators import cuda_probe, nvidia
from .trouble import DeviceTrouble, Trouble

ROOT = Path("/")
OR_CPU = "Or set engine.kind to ctranslate2 (the CPU), or to auto, which takes the CPU where the GPU cannot be used. `hailo-whisper doctor` tells more."
NO_MEMORY = (
    "The GPU has too little memory left (`nvidia-smi` shows who has it): stop other programs on it, or take a smaller model."
)
# What CUDA's runtime and CTranslate2 say, with the cure. The first that is found in a message is taken. What may pass without a change to this
# machine or its configuration is a device's trouble, that is tried again soon.
CURES: tuple[tuple[str, type[Trouble], str], ...] = (
    (
        "driver version is insufficient",
        Trouble,
        "Update the NVIDIA driver to 525 or newer, and restart the machine.",
    ),
    ("out of memory", DeviceTrouble, NO_MEMORY),
    ("CUBLAS_STATUS_ALLOC_FAILED", DeviceTrouble, NO_MEMORY),
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
    ("not compiled with CUDA", Trouble, "On this kind of processor the packages of CTranslate2 are made for the CPU only."),
    ("compute type", Trouble, "This GPU does not compute in that format: set model.compute_type to auto."),
)


@contextmanager
def usable(survey: Callable[[Path], nvidia.Nvidia] = nvidia.survey) -> Iterator[None]:
    """Have the libraries loaded while a model is; what CUDA raises comes out as Trouble."""
    if (lacks := nvidia.lacking(found := survey(ROOT))) is not None:
        raise DeviceTrouble(f"The GPU cannot be used: {lacks}. {OR_CPU}")
    # CTranslate2 asks for cuBLAS by its name, and is given what has been loaded under it, wherever that lies.
    for name, place in found.libraries.items():
        _load(name, str(place))
    # After the libraries, and late because it takes a while.
    import ctranslate2

    with failing():
        if not ctranslate2.get_cuda_device_count():
            # It does not say why; the driver does, unless CTranslate2 was made without CUDA.
            said = cuda_probe.answer()
            why = ": ".join(str(said[part]) for part in ("trouble", "cure") if said.get(part)) or (
                "CTranslate2 finds none. On this kind of processor its packages may be made for the CPU only"
            )
            raise DeviceTrouble(f"The GPU cannot be used: {why}. {OR_CPU}")
        yield


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
    if re.search(r"\bCUDA\b|cublas", said, re.IGNORECASE):
        return DeviceTrouble(f"The GPU failed: {said}. `dmesg | grep NVRM` has the driver's view. {OR_CPU}")
    return None


def _load(name: str, place: str) -> None:
    try:
        ctypes.CDLL(place, mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        raise Trouble(f"The GPU cannot be used: {name} cannot be loaded ({error}). Install it again. {OR_CPU}") from None

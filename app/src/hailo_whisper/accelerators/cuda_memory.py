"""How much memory a GPU has left, by CUDA's driver library. For a process that uses the GPU already: any other would take some of it to ask.

The calls are those of the CUDA driver API (cuda.h).
"""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .nvidia import LIBCUDA

MB = 1_000_000


@dataclass(frozen=True)
class Memory:
    """Of one GPU, in bytes."""

    free: int
    total: int

    def __str__(self) -> str:
        return f"{self.free // MB} of its {self.total // MB} MB are free"


def look(index: int, load: Callable[[str], Any] = ctypes.CDLL) -> Memory | None:
    """The memory of the GPU of that number, as CUDA counts them; None when the driver does not tell, because the GPU has failed, say."""
    try:
        cuda = load(LIBCUDA)
    except OSError:
        return None
    device, context = ctypes.c_int(), ctypes.c_void_p()
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    if cuda.cuInit(0) or cuda.cuDeviceGet(ctypes.byref(device), index):
        return None
    # The context that CUDA's runtime, and so CTranslate2, has too.
    if cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), device):
        return None
    try:
        if cuda.cuCtxPushCurrent_v2(context):
            return None
        failed = cuda.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total))
        cuda.cuCtxPopCurrent_v2(ctypes.byref(context))
    finally:
        cuda.cuDevicePrimaryCtxRelease_v2(device)
    return None if failed else Memory(free.value, total.value)

"""Asks CUDA's driver library for the GPUs, and prints what it says as a line of JSON. Runs as a child: the driver may hang or crash.

The calls and numbers are those of the CUDA driver API (cuda.h).
"""

import ctypes
import json
from collections.abc import Callable
from typing import Any

from .lack import Lack
from .nvidia import ASK_IT, LIBCUDA

LEAST_CUDA = 12000
"""As the driver counts: CTranslate2 is built with CUDA 12."""
LONGEST_NAME = 256
# What cuInit says most, as its cause and its cure.
CAUSES = {
    100: ("there is no GPU that CUDA can use", "`nvidia-smi` tells what the driver sees"),
    101: ("the GPU's number is not valid", "see whether CUDA_VISIBLE_DEVICES is right"),
    3: ("CUDA could not be initialised", ASK_IT),
    304: (
        "the operating system refused",
        "see whether the nodes /dev/nvidia* exist (`nvidia-modprobe -u -c0` makes them), and whether this user may open them",
    ),
    802: ("the GPU's fabric is not up yet", "see whether nvidia-fabricmanager runs"),
    803: ("the driver's library and its kernel module are of different versions", "an upgrade waits for it: restart the machine"),
    804: ("the driver's library does not fit this GPU", "remove the package cuda-compat, or update the driver"),
    999: ("the driver has failed", "`dmesg | grep NVRM` has its view; restarting the machine helps often"),
}


def answer(load: Callable[[str], Any] = ctypes.CDLL) -> dict[str, object]:
    """The GPUs with their memory, the newest CUDA that the driver serves, and why none can be used."""
    nothing: dict[str, object] = {"gpus": [], "cuda": None}
    try:
        cuda = load(LIBCUDA)
    except OSError as error:
        return {
            **nothing,
            **_told(Lack(f"the driver's library cannot be loaded: {error}", "install it again, of the driver's version")),
        }
    if code := cuda.cuInit(0):
        what, cure = CAUSES.get(code, CAUSES[3])
        return {**nothing, **_told(Lack(f"{what} (CUDA error {code})", cure))}
    version, count = ctypes.c_int(), ctypes.c_int()
    cuda.cuDriverGetVersion(ctypes.byref(version))
    cuda.cuDeviceGetCount(ctypes.byref(count))
    serves = f"{version.value // 1000}.{version.value % 1000 // 10}"
    gpus = [_gpu(cuda, number) for number in range(count.value)]
    trouble = None
    if not gpus:
        trouble = Lack("the driver has no GPU for this program", "see whether CUDA_VISIBLE_DEVICES is set")
    elif version.value < LEAST_CUDA:
        trouble = Lack(f"the driver serves CUDA {serves} at most, and 12 is needed", "update it to 525 or newer")
    return {"gpus": gpus, "cuda": serves, **_told(trouble)}


def _told(trouble: Lack | None) -> dict[str, object]:
    return {"trouble": trouble and trouble.what, "cure": trouble and trouble.cure}


def _gpu(cuda: Any, number: int) -> dict[str, object]:
    device, memory = ctypes.c_int(), ctypes.c_size_t()
    name = ctypes.create_string_buffer(LONGEST_NAME)
    cuda.cuDeviceGet(ctypes.byref(device), number)
    cuda.cuDeviceGetName(name, LONGEST_NAME, device)
    cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    return {"name": name.value.decode(errors="replace"), "memory_mb": memory.value // 1_000_000}


if __name__ == "__main__":
    print(json.dumps(answer()))

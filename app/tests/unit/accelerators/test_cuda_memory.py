"""The memory of a GPU, by a scripted driver library."""

import ctypes
from typing import Any

import pytest

from hailo_whisper.accelerators import cuda_memory
from hailo_whisper.accelerators.cuda_memory import Memory


class Driver:
    """libcuda.so.1: remembers what it was asked, and fails at the call of that name."""

    def __init__(self, fails: str = "") -> None:
        self.fails = fails
        self.asked: list[str] = []
        self.device = -1

    def __getattr__(self, name: str) -> Any:
        def call(*given: Any) -> int:
            self.asked.append(name)
            if name == self.fails:
                return 100
            if name == "cuDeviceGet":
                self.device = given[1]
            if name == "cuMemGetInfo_v2":
                given[0]._obj.value, given[1]._obj.value = 3_000_000_000, 6_000_000_000
            return 0

        return call


def test_what_the_driver_says() -> None:
    driver = Driver()
    assert cuda_memory.look(1, lambda _: driver) == Memory(3_000_000_000, 6_000_000_000)
    assert driver.device == 1
    assert "cuCtxPopCurrent_v2" in driver.asked
    assert driver.asked[-1] == "cuDevicePrimaryCtxRelease_v2"
    assert str(Memory(3_000_000_000, 6_000_000_000)) == "3000 of its 6000 MB are free"


@pytest.mark.parametrize("fails", ["cuInit", "cuDeviceGet", "cuDevicePrimaryCtxRetain", "cuCtxPushCurrent_v2", "cuMemGetInfo_v2"])
def test_a_driver_that_has_failed_tells_nothing(fails: str) -> None:
    driver = Driver(fails)
    assert cuda_memory.look(0, lambda _: driver) is None
    retained = "cuDevicePrimaryCtxRetain" in driver.asked and fails != "cuDevicePrimaryCtxRetain"
    assert ("cuDevicePrimaryCtxRelease_v2" in driver.asked) == retained, "what was taken is given back"


def test_without_a_driver() -> None:
    def none(_: str) -> ctypes.CDLL:
        raise OSError("libcuda.so.1: cannot open shared object file")

    assert cuda_memory.look(0, none) is None

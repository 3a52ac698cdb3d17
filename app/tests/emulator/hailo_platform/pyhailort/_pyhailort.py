"""What is C++ in HailoRT: it raises bare codes, checks little, and dies where a null pointer would be followed."""

import os
import time
from typing import Any

import numpy as np

from hailo_platform.emulation import control, hef
from hailo_platform.emulation.device import Hearing, hearing
from hailo_platform.emulation.lock import Claim, claim
from hailo_platform.emulation.network import Network, network

DEVICE = "0001:01:00.0"
TASKS = {"TRANSCRIBE": "transcribe", "TRANSLATE": "translate"}


class HailoRTException(Exception):
    pass


class HailoRTStatusException(HailoRTException):
    """Its text is the code and nothing else."""


def check(moment: str) -> None:
    """Raise, hang or crash when the control file says so."""
    code = control.suffer(moment)
    if code is not None:
        raise HailoRTStatusException(str(code))


def scan() -> list[str]:
    check("scan")
    return [] if control.absent() else [DEVICE]


class Node:
    """The device's node, held open as the driver's users do, where the device has one."""

    def __init__(self) -> None:
        self._descriptor = -1
        if path := control.node():
            try:
                self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            except OSError:
                raise HailoRTStatusException("36") from None

    def release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1


class VDevice:
    def __init__(self, group: str, *, service: bool) -> None:
        check("open")
        if service:
            # A Hailo-10H needs none, and refuses it. For the others it is a daemon, which is not there.
            raise HailoRTStatusException("6" if control.serves() else "77")
        self._node = Node()
        found = None if control.absent() else claim(group)
        if found is None:
            self._node.release()
            raise HailoRTStatusException("74")
        self._claim: Claim | None = found

    def release(self) -> None:
        if self._claim is not None:
            self._claim.release()
            self._node.release()
        self._claim = None

    @property
    def open(self) -> bool:
        return self._claim is not None


class Speech2Text:
    def __init__(self, vdevice: VDevice, path: str) -> None:
        check("load")
        self._vdevice = vdevice
        try:
            self._hearing: Hearing | None = hearing(hef.read(path, "hailo10h"))
        except hef.Unreadable as error:
            raise HailoRTStatusException(str(error.code)) from None

    def generate(self, audio: Any, task: str, language: str | None, penalty: float) -> list[list[Any]]:
        found = self._alive()
        if not isinstance(audio, np.ndarray) or audio.ndim != 1:
            raise ValueError("Audio data must be 1-dimensional")
        if audio.dtype != np.float32:
            raise ValueError("Audio data must be float32 type")
        if not audio.flags.writeable:
            raise ValueError("array is not writeable")
        if not audio.flags.c_contiguous:
            raise ValueError("the emulator refuses a strided array, which the real binding reads as garbage without a word")
        if control.absent():
            raise HailoRTStatusException("62")
        check("infer")
        if not len(audio):
            raise HailoRTStatusException("2")
        heard = found.hear(audio, TASKS[task], language, penalty, ideal=control.says("ideal"))
        if heard is None:
            raise HailoRTStatusException("2")
        return heard

    def tokenize(self, text: str) -> list[int]:
        return self._alive().tokenize(text)

    def release(self) -> None:
        if self._hearing is not None:
            self._hearing.close()
        self._hearing = None

    def _alive(self) -> Hearing:
        # As following a null pointer would.
        if self._hearing is None or not self._vdevice.open:
            os.abort()
        return self._hearing


class Hef:
    def __init__(self, path: str) -> None:
        try:
            self.network: Network = network(hef.read(path))
        except hef.Unreadable as error:
            raise HailoRTStatusException(str(error.code)) from None


class InferModel:
    def __init__(self, vdevice: VDevice, path: str) -> None:
        check("load")
        self.vdevice = vdevice
        try:
            self.network: Network = network(hef.read(path, control.architecture()))
        except hef.Unreadable as error:
            raise HailoRTStatusException(str(error.code)) from None
        # Quantized, until the user asks for something else.
        self.types: dict[str, np.dtype[Any]] = dict.fromkeys(
            [edge.name for edge in (*self.network.inputs, *self.network.outputs)], np.dtype(np.uint8)
        )


class ConfiguredInferModel:
    def __init__(self, model: InferModel) -> None:
        check("configure")
        self._model = model

    def run(self, buffers: dict[str, np.ndarray[Any, Any]], timeout_ms: float) -> None:
        """Wait as long as that for the device, and no longer, with the GIL free: the newer API can do both."""
        if not self._model.vdevice.open:
            os.abort()
        network = self._model.network
        for edge in (*network.inputs, *network.outputs):
            size = int(np.prod(edge.shape)) * self._model.types[edge.name].itemsize
            if edge.name not in buffers or buffers[edge.name].nbytes != size:
                raise HailoRTStatusException("6")
        if control.absent():
            raise HailoRTStatusException("62")
        if [line for line in control.lines() if line == ["infer", "stall"]]:
            time.sleep(timeout_ms / 1000)
            raise HailoRTStatusException("4")
        check("infer")
        found = network.run({edge.name: buffers[edge.name].view(np.float32) for edge in network.inputs})
        for name, values in found.items():
            # Whatever the shape of the buffer: the device knows bytes.
            buffers[name].reshape(-1)[:] = values.reshape(-1)

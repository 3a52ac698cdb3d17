"""What is Python in HailoRT: it turns codes into exceptions, except where it forgets to."""

import dataclasses
from collections.abc import Iterable
from enum import Enum, IntEnum
from typing import Any, Self

from hailo_platform.emulation import control
from hailo_platform.pyhailort import _pyhailort
from hailo_platform.pyhailort._pyhailort import HailoRTException
from hailo_platform.pyhailort.errors import (
    HailoCommunicationClosedException,
    HailoRTDriverOperationFailedException,
    HailoRTHEFNotCompatibleWithDevice,
    HailoRTInvalidArgumentException,
    HailoRTInvalidHEFException,
    HailoRTInvalidOperationException,
    HailoRTNotFoundException,
    HailoRTTimeout,
    wrapped,
)
from hailo_platform.pyhailort.infer_model import (
    HEF,
    AsyncInferJob,
    ConfiguredInferModel,
    FormatType,
    InferModel,
)

__all__ = [
    "HEF",
    "AsyncInferJob",
    "ConfiguredInferModel",
    "Device",
    "FormatType",
    "HailoCommunicationClosedException",
    "HailoRTDriverOperationFailedException",
    "HailoRTException",
    "HailoRTHEFNotCompatibleWithDevice",
    "HailoRTInvalidArgumentException",
    "HailoRTInvalidHEFException",
    "HailoRTInvalidOperationException",
    "HailoRTNotFoundException",
    "HailoRTTimeout",
    "HailoSchedulingAlgorithm",
    "InferModel",
    "Speech2Text",
    "Speech2TextTask",
    "VDevice",
    "VDeviceParams",
]


class HailoSchedulingAlgorithm(IntEnum):
    NONE = 0
    ROUND_ROBIN = 1


class DeviceArchitectureTypes(IntEnum):
    HAILO8_A0 = 0
    HAILO8 = 1
    HAILO8L = 2
    HAILO15H = 3
    HAILO15L = 4
    HAILO15M = 5
    HAILO10H = 6

    def __str__(self) -> str:
        return self.name


@dataclasses.dataclass(frozen=True)
class BoardInformation:
    firmware_version: str
    board_name: str
    device_architecture: DeviceArchitectureTypes
    serial_number: str


class Control:
    def identify(self) -> BoardInformation:
        with wrapped():
            _pyhailort.check("identify")
            _pyhailort.Node().release()
        architecture = DeviceArchitectureTypes[control.architecture().upper()]
        return BoardInformation(f"{control.VERSION} (release,app)", "Hailo", architecture, "EMULATED00000000")


class Device:
    @classmethod
    def scan(cls) -> list[str]:
        return _pyhailort.scan()

    def __init__(self, device_id: str | None = None) -> None:
        found = Device.scan()
        if not found:
            raise HailoRTException("HailoRT device not found in the system")
        self.device_id = device_id or found[0]
        self.control = Control()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        pass


class VDeviceParams:
    def __init__(self) -> None:
        self.group_id = "UNIQUE"
        self.scheduling_algorithm = HailoSchedulingAlgorithm.ROUND_ROBIN
        self.multi_process_service = False
        self.device_count = 1
        self.device_ids: list[str] | None = None


class VDevice:
    def __init__(self, params: VDeviceParams | None = None, *, device_ids: Iterable[str] | None = None) -> None:
        self._vdevice: _pyhailort.VDevice | None = None
        self._params = params or VDevice.create_params()
        with wrapped():
            self._vdevice = _pyhailort.VDevice(self._params.group_id, service=self._params.multi_process_service)

    @staticmethod
    def create_params() -> VDeviceParams:
        return VDeviceParams()

    def create_infer_model(self, hef_source: str | bytes, name: str = "") -> InferModel:
        assert self._vdevice is not None
        with wrapped():
            return InferModel(_pyhailort.InferModel(self._vdevice, str(hef_source)), str(hef_source))

    def get_physical_devices(self) -> list[Device]:
        return [Device(name) for name in self.get_physical_devices_ids()]

    def get_physical_devices_ids(self) -> list[str]:
        return [_pyhailort.DEVICE]

    def release(self) -> None:
        if self._vdevice is not None:
            self._vdevice.release()
        self._vdevice = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def __del__(self) -> None:
        self.release()


class Speech2TextTask(Enum):
    TRANSCRIBE = "TRANSCRIBE"
    TRANSLATE = "TRANSLATE"


class SegmentInfo:
    """Three values and no more."""

    __slots__ = ("end_sec", "start_sec", "text")

    def __init__(self, start_sec: float, end_sec: float, text: str) -> None:
        self.start_sec = start_sec
        self.end_sec = end_sec
        self.text = text


class _Speech2Text:
    def __init__(self, vdevice: VDevice, model_path: str) -> None:
        assert vdevice._vdevice is not None
        # Keeps it alive, as the original does.
        self._vdevice = vdevice
        # Not wrapped, as in the original: a bare code comes out.
        self._speech2text = _pyhailort.Speech2Text(vdevice._vdevice, model_path)

    def tokenize(self, text: str) -> list[int]:
        with wrapped():
            return self._speech2text.tokenize(text)

    def release(self) -> None:
        self._speech2text.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _segments(self, audio: Any, task: Speech2TextTask, language: str | None, penalty: float) -> list[SegmentInfo]:
        with wrapped():
            return [SegmentInfo(*heard) for heard in self._speech2text.generate(audio, task.value, language, penalty)]

    def _text(self, audio: Any, task: Speech2TextTask, language: str | None, penalty: float) -> str:
        return "".join(segment.text for segment in self._segments(audio, task, language, penalty))


class _Speech2Text511(_Speech2Text):
    def generate_all_text(
        self, audio_data: Any, task: Speech2TextTask = Speech2TextTask.TRANSCRIBE, language: str = "en", timeout_ms: int = 10000
    ) -> str:
        return self._text(audio_data, task, language, 1.0)

    def generate_all_segments(
        self, audio_data: Any, task: Speech2TextTask = Speech2TextTask.TRANSCRIBE, language: str = "en", timeout_ms: int = 10000
    ) -> list[SegmentInfo]:
        if not isinstance(language, str):
            raise TypeError("set_language(): incompatible function arguments")
        return self._segments(audio_data, task, language, 1.0)


class _Speech2Text520(_Speech2Text):
    def generate_all_text(
        self,
        audio_data: Any,
        task: Speech2TextTask = Speech2TextTask.TRANSCRIBE,
        language: str | None = None,
        repetition_penalty: float = 1.0,
        timeout_ms: int = 10000,
    ) -> str:
        return self._text(audio_data, task, language, repetition_penalty)

    def generate_all_segments(
        self,
        audio_data: Any,
        task: Speech2TextTask = Speech2TextTask.TRANSCRIBE,
        language: str | None = None,
        repetition_penalty: float = 1.0,
        timeout_ms: int = 10000,
    ) -> list[SegmentInfo]:
        return self._segments(audio_data, task, language, repetition_penalty)


class _Speech2Text530(_Speech2Text520):
    def generate_all_text(
        self,
        audio_data: Any,
        task: Speech2TextTask = Speech2TextTask.TRANSCRIBE,
        language: str | None = None,
        repetition_penalty: float = 1.0,
        timeout_ms: int = 600000,
    ) -> str:
        return self._text(audio_data, task, language, repetition_penalty)

    def generate_all_segments(
        self,
        audio_data: Any,
        task: Speech2TextTask = Speech2TextTask.TRANSCRIBE,
        language: str | None = None,
        repetition_penalty: float = 1.0,
        timeout_ms: int = 600000,
    ) -> list[SegmentInfo]:
        return self._segments(audio_data, task, language, repetition_penalty)


Speech2Text: Any = {"5.1.1": _Speech2Text511, "5.2.0": _Speech2Text520, "5.3.0": _Speech2Text530}.get(control.VERSION)

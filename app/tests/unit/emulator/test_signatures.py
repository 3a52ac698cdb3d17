"""The emulator's signatures are HailoRT's: the facts of its own pyhailort.py, by version.

Read in github.com/hailo-ai/hailort, hailort/libhailort/bindings/python/platform/hailo_platform/pyhailort/pyhailort.py, at the tags v5.1.1
and v5.2.0. Those of 5.3.0 are what third parties say of it.
"""

import importlib
import inspect
from typing import Any

import pytest
from emulated import Device

TRANSCRIBE = "TRANSCRIBE"
OLD: list[tuple[str, Any]] = [("audio_data", None), ("task", TRANSCRIBE), ("language", "en"), ("timeout_ms", 10000)]
NEW: list[tuple[str, Any]] = [
    ("audio_data", None),
    ("task", TRANSCRIBE),
    ("language", None),
    ("repetition_penalty", 1.0),
    ("timeout_ms", 10000),
]
GENERATE = {"5.1.1": OLD, "5.2.0": NEW, "5.3.0": [*NEW[:-1], ("timeout_ms", 600000)]}
EXCEPTIONS = {
    "HailoRTTimeout",
    "HailoRTInvalidOperationException",
    "HailoRTInvalidArgumentException",
    "HailoRTNotFoundException",
    "HailoRTInvalidHEFException",
    "HailoRTHEFNotCompatibleWithDevice",
    "HailoRTDriverOperationFailedException",
    "HailoCommunicationClosedException",
}


def _parameters(function: Any) -> list[tuple[str, Any]]:
    found = []
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        default = None if parameter.default is inspect.Parameter.empty else parameter.default
        found.append((parameter.name, getattr(default, "name", default)))
    return found


@pytest.mark.parametrize("version", GENERATE)
def test_what_transcribes(device: Device, version: str) -> None:
    device.become(version)
    platform, genai = importlib.import_module("hailo_platform"), importlib.import_module("hailo_platform.genai")
    assert platform.__version__ == version
    for method in ("generate_all_segments", "generate_all_text"):
        function = getattr(genai.Speech2Text, method)
        assert _parameters(function) == GENERATE[version], method
        assert inspect.signature(function).parameters["audio_data"].default is inspect.Parameter.empty
    assert _parameters(genai.Speech2Text.__init__) == [("vdevice", None), ("model_path", None)]
    assert _parameters(genai.Speech2Text.tokenize) == [("text", None)]
    assert [task.name for task in genai.Speech2TextTask] == ["TRANSCRIBE", "TRANSLATE"]


def test_the_device_and_its_parameters(device: Device) -> None:
    platform = importlib.import_module("hailo_platform")
    params = platform.VDevice.create_params()
    names = {"group_id", "scheduling_algorithm", "multi_process_service", "device_count", "device_ids"}
    assert vars(params).keys() == names
    assert (params.group_id, params.multi_process_service) == ("UNIQUE", False)
    assert list(inspect.signature(platform.VDevice).parameters) == ["params", "device_ids"]
    assert inspect.signature(platform.VDevice).parameters["device_ids"].kind is inspect.Parameter.KEYWORD_ONLY
    assert str(platform.Device().control.identify().device_architecture) == "HAILO10H"


def test_the_exceptions_have_one_base(device: Device) -> None:
    module = importlib.import_module("hailo_platform.pyhailort.pyhailort")
    base = importlib.import_module("hailo_platform").HailoRTException
    assert all(issubclass(getattr(module, name), base) for name in EXCEPTIONS)


def test_a_version_that_it_does_not_know(device: Device) -> None:
    device.become("4.20.0")
    with pytest.raises(ImportError, match=r"5\.1\.1, 5\.2\.0, 5\.3\.0"):
        importlib.import_module("hailo_platform")

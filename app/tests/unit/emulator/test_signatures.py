"""The emulator's signatures are HailoRT's: the facts of its own pyhailort.py, by version.

Read in github.com/hailo-ai/hailort, hailort/libhailort/bindings/python/platform/hailo_platform/pyhailort/pyhailort.py, at the tags v5.1.1
and v5.2.0, and on the branch hailo8 at 4.23.0. Those of 5.3.0 are what third parties say of it.
"""

import importlib
import inspect
from typing import Any

import pytest
from emulated import Device

TRANSCRIBE = "TRANSCRIBE"
REQUIRED = "required"
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


# Of the API for networks: what it is called with, and what it has besides; the same in 4.23.0 (the branch hailo8) and in 5.2.0.
NETWORKS: dict[str, list[tuple[str, Any]]] = {
    "HEF.__init__": [("hef_source", REQUIRED)],
    "HEF.get_network_group_names": [],
    "HEF.get_input_vstream_infos": [("name", None)],
    "HEF.get_output_vstream_infos": [("name", None)],
    "HEF.get_sorted_output_names": [("network_group_name", None)],
    "VDevice.create_infer_model": [("hef_source", REQUIRED), ("name", "")],
    "InferModel.configure": [],
    "InferModel.input": [("name", "")],
    "InferModel.output": [("name", "")],
    "InferModel.InferStream.set_format_type": [("type", REQUIRED)],
    "ConfiguredInferModel.create_bindings": [("input_buffers", None), ("output_buffers", None)],
    "ConfiguredInferModel.run": [("bindings", REQUIRED), ("timeout", REQUIRED)],
    "ConfiguredInferModel.run_async": [("bindings", REQUIRED), ("callback", None)],
    "ConfiguredInferModel.Bindings.input": [("name", "")],
    "ConfiguredInferModel.Bindings.output": [("name", "")],
    "ConfiguredInferModel.Bindings.InferStream.set_buffer": [("buffer", REQUIRED)],
    "ConfiguredInferModel.Bindings.InferStream.get_buffer": [("tf_format", False)],
    "AsyncInferJob.wait": [("timeout_ms", REQUIRED)],
}
PROPERTIES = ("InferModel.hef", "InferModel.input_names", "InferModel.output_names", "InferModel.InferStream.shape")
# Those that hailo_platform itself has; the others are in its pyhailort.
EXPORTED = {"HEF", "FormatType", "VDevice", "AsyncInferJob", "HailoSchedulingAlgorithm"}


def _named(module: Any, name: str) -> Any:
    for part in name.split("."):
        module = getattr(module, part)
    return module


@pytest.mark.parametrize("version", ["4.23.0", "5.2.0"])
def test_what_runs_networks(device: Device, version: str) -> None:
    device.become(version)
    platform, module = (importlib.import_module(name) for name in ("hailo_platform", "hailo_platform.pyhailort.pyhailort"))
    assert platform.__version__ == version
    for name, expected in NETWORKS.items():
        parameters = [*inspect.signature(_named(module, name)).parameters.values()][1:]
        found = [(one.name, REQUIRED if one.default is inspect.Parameter.empty else one.default) for one in parameters]
        assert found == expected, name
    for name in PROPERTIES:
        assert isinstance(_named(module, name), property), name
    assert {*EXPORTED} <= {*platform.__all__}
    assert [member.name for member in module.FormatType] == ["AUTO", "UINT8", "UINT16", "FLOAT32"]
    assert callable(module.ConfiguredInferModel.__enter__)
    assert callable(module.ConfiguredInferModel.__exit__)


def test_a_hailort_for_the_hailo_8_has_no_genai_api(device: Device) -> None:
    device.become("4.23.0")
    assert str(importlib.import_module("hailo_platform").Device().control.identify().device_architecture) == "HAILO8"
    with pytest.raises(ModuleNotFoundError, match=r"hailo_platform\.genai"):
        importlib.import_module("hailo_platform.genai")

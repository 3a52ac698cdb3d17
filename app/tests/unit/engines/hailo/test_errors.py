"""Every error of HailoRT becomes a sentence with a cause and a cure, in whichever of its three forms it comes."""

import pytest

from hailo_whisper.engines.hailo import errors
from hailo_whisper.engines.trouble import DeviceBusy, DeviceTrouble, Trouble


class HailoRTHEFNotCompatibleWithDevice(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Exception("74"), 74),
        (Exception("libhailort failed with error: 76 (HAILO_INVALID_DRIVER_VERSION)"), 76),
        (HailoRTHEFNotCompatibleWithDevice("HEF file is not compatible with device."), 93),
        (Exception("something with 74 in it"), None),
        (ValueError("Audio data must be float32 type"), None),
    ],
)
def test_the_number_of_an_error(error: Exception, code: int | None) -> None:
    assert errors.code(error) == code


@pytest.mark.parametrize(
    ("code", "kind", "cause", "cure"),
    [
        (13, Trouble, "could not be opened", "or as a member of the group hailo-whisper"),
        (26, Trouble, "no HEF that this library can read", "models pull"),
        (36, DeviceTrouble, "lack of permission", "group `hailo`"),
        (62, DeviceTrouble, "connection to the device was closed", "looked for again"),
        (64, DeviceTrouble, "driver is not loaded", "Install it"),
        (73, DeviceBusy, "in use", "hailo.group"),
        (74, DeviceBusy, "in use by another program", "hailo-ollama"),
        (76, DeviceTrouble, "different versions", "Install the driver of the very version"),
        (89, DeviceTrouble, "refused the connection", "still be starting"),
        (91, Trouble, "damaged", "models pull"),
        (92, Trouble, "of a form that this library does not know", "made for this release"),
        (93, Trouble, "made for another device", "models list"),
        (96, DeviceTrouble, "not connected", "plugged|unplugged"),
        (97, DeviceBusy, "not available for the moment", "Stop that program"),
    ],
)
def test_a_sentence_with_its_cause_and_cure(code: int, kind: type[Exception], cause: str, cure: str) -> None:
    found = errors.translated(Exception(str(code)), "opening the device")
    assert type(found) is kind
    text = str(found)
    assert text.startswith("Opening the device failed")
    assert f"(HailoRT error {code})" in text
    assert cause in text
    assert any(part in text for part in cure.split("|"))
    assert "  " not in text


def test_who_has_the_device_is_named() -> None:
    found = errors.translated(Exception("74"), "opening the device", "It is held by hailo-ollama (process 812).")
    assert "It is held by hailo-ollama (process 812). Stop that program" in str(found)
    assert "`hailo-whisper doctor`, as root, names it" in str(errors.translated(Exception("74"), "opening the device"))


@pytest.mark.parametrize("architecture", ["hailo8", "hailo8l"])
def test_a_device_that_processes_cannot_share_is_not_to_be_shared_by_a_group(architecture: str) -> None:
    text = str(errors.translated(Exception("74"), "opening the device", architecture=architecture))
    assert "a Hailo-8 or 8L is for one program at a time" in text
    assert "have all of them share" not in text


@pytest.mark.parametrize("architecture", ["hailo10h", None])
def test_a_device_that_processes_can_share(architecture: str | None) -> None:
    text = str(errors.translated(Exception("74"), "opening the device", architecture=architecture))
    assert "on a Hailo-10H, have all of them share the device by one group (hailo.group)" in text
    assert "one program at a time" not in text


def test_a_number_that_has_no_sentence_keeps_its_words() -> None:
    found = errors.translated(Exception("libhailort failed with error: 8 (HAILO_INTERNAL_FAILURE)"), "transcribing")
    assert isinstance(found, DeviceTrouble)
    assert "HailoRT error 8. libhailort failed with error: 8 (HAILO_INTERNAL_FAILURE) HailoRT's log says more" in str(found)
    assert "HailoRT error 8. HailoRT's log" in str(errors.translated(Exception("8"), "transcribing"))


@pytest.mark.parametrize("error", [ValueError("Audio data must be float32 type"), Exception("2")], ids=repr)
def test_what_the_request_is_to_blame_for_is_no_trouble_of_the_device(error: Exception) -> None:
    assert not isinstance(errors.translated(error, "transcribing"), DeviceTrouble)

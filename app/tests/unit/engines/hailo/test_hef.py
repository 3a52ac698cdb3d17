"""Files for the device are checked before they are loaded. The layouts are those of HailoRT's hef_internal.hpp."""

import contextlib
import struct
from pathlib import Path

import pytest
from emulated import Device
from hypothesis import given
from hypothesis import strategies as st

from hailo_whisper.engines.hailo import hef
from hailo_whisper.engines.trouble import Trouble

MAGIC = 0x01484546
# A description whose header's message has a time stamp and a version before the architecture, as protobuf allows.
DESCRIPTION = bytes([0x0A, 9, 0x10, 0x96, 0x01, 0x1A, 2, *b"ok", 0x08, 103])


def _file(path: Path, version: int, *, description: bytes = DESCRIPTION, extra: int = 40, missing: int = 0) -> Path:
    """A HEF of a layout whose weights are `extra` bytes, of which some are missing."""
    rest = {
        0: struct.pack(">I16s", 0, bytes(16)),
        1: struct.pack(">IQI", 0, extra, 0),
        2: struct.pack(">QQQQ", 0, extra, 0, 0),
        3: struct.pack(">QQIQQQ", 0, extra - 8, 0, 8, 0, 0),
    }[version]
    weights = bytes(extra if version else 0)
    data = struct.pack(">III", MAGIC, version, len(description)) + rest + description + weights
    path.write_bytes(data[: len(data) - missing])
    return path


@pytest.mark.parametrize("version", [0, 1, 2, 3])
def test_each_layout(tmp_path: Path, version: int) -> None:
    path = _file(tmp_path / "Whisper-Base.hef", version)
    found = hef.read(path)
    assert (found.version, found.architecture, found.size) == (version, "hailo10h", path.stat().st_size)
    hef.check(found, (5, 1, 1))


@pytest.mark.parametrize("version", [0, 1, 2, 3])
def test_a_file_that_is_cut_short(tmp_path: Path, version: int) -> None:
    path = _file(tmp_path / "a.hef", version, missing=3)
    with pytest.raises(Trouble, match=r"cut short or damaged: it has \d+ bytes, and says that it has \d+.*models pull"):
        hef.read(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no HEF: it does not begin as one .it is empty"),
        (b"<html>404", "is no HEF: it does not begin as one .3c68746d"),
        (struct.pack(">III", MAGIC, 9, 5), "newer layout .9."),
        (struct.pack(">III", MAGIC, 2, 5), "ends within its header"),
        (struct.pack(">IIIQQQQ", MAGIC, 2, 3, 0, 0, 0, 0) + b"\x0a\x05\x08", "makes no sense"),
    ],
    ids=["empty", "a web page", "newer", "header only", "a description that ends too soon"],
)
def test_files_that_are_none(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "a.hef"
    path.write_bytes(content)
    with pytest.raises(Trouble, match=said):
        hef.read(path)


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match="cannot be read: No such file or directory"):
        hef.read(tmp_path / "a.hef")


@given(st.binary(max_size=80))
def test_any_description_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, description: bytes) -> None:
    path = _file(tmp_path_factory.getbasetemp() / "any.hef", 2, description=description)
    with contextlib.suppress(Trouble):
        assert hef.read(path).version == 2


def test_a_file_of_the_emulator_is_one(device: Device, tmp_path: Path) -> None:
    assert hef.read(device.hef(tmp_path, says="hello")).architecture == "hailo10h"


@pytest.mark.parametrize(("number", "name"), [(0, "hailo8"), (3, "hailo8l"), (77, "unknown (77)")])
def test_another_architecture(tmp_path: Path, number: int, name: str) -> None:
    inner = bytes([0x08, number]) if number else b""
    found = hef.read(_file(tmp_path / "a.hef", 2, description=bytes([0x0A, len(inner)]) + inner))
    assert found.architecture == name
    with pytest.raises(Trouble, match=r"was made for .*hailo10h only"):
        hef.check(found, (5, 2, 0))


@pytest.mark.parametrize(
    ("name", "version", "fits"),
    [
        ("Whisper-Base", (5, 1, 1), True),
        ("Whisper-Small", (5, 1, 1), False),
        ("Whisper-Small", (5, 2, 0), True),
        ("Whisper-Tiny", (5, 2, 0), False),
        ("Whisper-Tiny", (5, 3, 0), True),
        ("my-own", (5, 1, 1), True),
    ],
)
def test_the_release_that_a_model_needs(tmp_path: Path, name: str, version: tuple[int, ...], fits: bool) -> None:
    found = hef.read(_file(tmp_path / f"{name}.hef", 2))
    if fits:
        hef.check(found, version)
    else:
        with pytest.raises(Trouble, match=r"needs HailoRT 5\.\d\.0 or newer, and 5\.\d\.\d is installed"):
            hef.check(found, version)

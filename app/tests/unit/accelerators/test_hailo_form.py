"""What is seen of a device and of HailoRT without loading anything."""

import sys
from pathlib import Path

import pytest
from emulated import Device

from hailo_whisper.accelerators import hailo


def _plugged(pci: Path, name: str, vendor: str, device: str) -> None:
    folder = pci / name
    folder.mkdir(parents=True)
    (folder / "vendor").write_text(f"{vendor}\n")
    (folder / "device").write_text(f"{device}\n")


@pytest.mark.parametrize(
    ("number", "expected"), [("0x2864", "hailo8-family"), ("0x45c4", "hailo10h"), ("0x26a2", "unknown (0x26a2)")]
)
def test_the_device_by_its_number(tmp_path: Path, number: str, expected: str | None) -> None:
    _plugged(tmp_path, "0000:00:01.0", "0x8086", "0x2864")
    (tmp_path / "0000:00:02.0").mkdir()
    _plugged(tmp_path, "0001:01:00.0", "0x1e60", number)
    assert hailo.architecture(tmp_path) == expected


def test_a_machine_without_pci(tmp_path: Path) -> None:
    assert hailo.architecture(tmp_path / "none") is None


def test_the_genai_api(device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hailo.genai()
    assert "hailo_platform" not in sys.modules, "looking does not load"
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if "emulator" not in folder])
    assert not hailo.genai()
    (tmp_path / "hailo_platform").mkdir()
    (tmp_path / "hailo_platform" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert not hailo.genai()

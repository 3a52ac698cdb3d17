"""`engine.kind: auto` takes the Hailo NPU where everything is there that it needs, and says what is missing where it is not."""

import logging
import sys
from pathlib import Path
from typing import Any

import pytest
from emulated import Device

from hailo_whisper.cli import assembly, engines
from hailo_whisper.engines.warm_up import warm_up
from hailo_whisper.models.unusable import ModelMissing
from hailo_whisper.settings import Settings, parse


def _settings(tmp_path: Path, **more: Any) -> Settings:
    storage = {"models": str(tmp_path / "store")}
    return parse({"storage": storage, "hailo": {"resources": str(tmp_path / "resources")}} | more, "test")


@pytest.fixture
def devices(tmp_path: Path) -> Path:
    folder = tmp_path / "dev"
    folder.mkdir()
    return folder


@pytest.fixture
def hef(device: Device, tmp_path: Path) -> Path:
    folder = tmp_path / "resources" / "models" / "hailo10h"
    folder.mkdir(parents=True)
    return device.hef(folder, says="hello")


@pytest.mark.parametrize("node", ["hailo0", "h1x-0"])
def test_a_device_by_either_name(tmp_path: Path, devices: Path, hef: Path, node: str) -> None:
    (devices / node).touch()
    assert engines.chosen(_settings(tmp_path), devices) == "hailo"


def test_what_is_missing_is_told(
    tmp_path: Path, devices: Path, hef: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    assert engines.chosen(_settings(tmp_path), devices) == "ctranslate2"
    assert "there is no Hailo device" in caplog.text
    (devices / "hailo0").touch()
    hef.rename(hef.with_name("Whisper-Small.hef"))
    assert engines.chosen(_settings(tmp_path), devices) == "ctranslate2"
    assert "There is no HEF of the model base" in caplog.text
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if "emulator" not in folder])
    for name in [name for name in sys.modules if name.partition(".")[0] == "hailo_platform"]:
        monkeypatch.delitem(sys.modules, name)
    assert engines.chosen(_settings(tmp_path), devices) == "ctranslate2"
    assert "hailo_platform is not installed" in caplog.text


@pytest.mark.parametrize("kind", ["ctranslate2", "hailo"])
def test_the_one_that_is_set(tmp_path: Path, devices: Path, kind: str) -> None:
    settings = _settings(tmp_path, engine={"kind": kind}, hailo={"group": "MINE", "device_wait_seconds": 7.0})
    assert engines.chosen(settings, devices) == kind
    clip = warm_up(1)
    with clip.waveform:
        launch = assembly.launch(settings, None, clip)
    assert launch.engine == engines.CLASSES[kind]
    assert (launch.group, launch.device_wait) == ("MINE", 7.0)
    with pytest.raises(ModelMissing, match="HEF" if kind == "hailo" else "models pull"):
        launch.prepare()


def test_the_hef_is_what_the_worker_loads(tmp_path: Path, hef: Path) -> None:
    clip = warm_up(1)
    with clip.waveform:
        assert assembly.launch(_settings(tmp_path, engine={"kind": "hailo"}), None, clip).prepare().path == hef


def test_every_class_that_may_be_chosen_is_there() -> None:
    for name in engines.CLASSES.values():
        module, _, kind = name.partition(":")
        assert hasattr(__import__(module, fromlist=[kind]), kind)

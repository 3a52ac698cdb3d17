"""`hailo-whisper selftest` as a user runs it, on the emulated device: what it says is *emulated*."""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from emulated import Device


@pytest.fixture
def hef(device: Device, tmp_path: Path, clip_words: str) -> Path:
    return device.hef(tmp_path, says=clip_words)


def _selftest(folder: Path, hef: Path, *options: str, **sections: Any) -> "subprocess.CompletedProcess[str]":
    config = {"engine": {"kind": "hailo"}, "model": {"path": str(hef)}, "storage": {"models": str(folder)}} | sections
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "hailo_whisper", "selftest", "--config", str(path), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, check=False, env=dict(os.environ))


@pytest.fixture
def somebody(device: Device) -> Iterator[Any]:
    """Another program that has the device for itself."""
    vdevice = importlib.import_module("hailo_platform").VDevice()
    yield vdevice
    vdevice.release()


def test_all_of_it_passes(tmp_path: Path, hef: Path) -> None:
    done = _selftest(tmp_path, hef, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    data = json.loads(done.stdout)
    assert (data["outcome"], data["emulated"], data["device"]["name"], data["group"]) == ("passed", True, "HAILO10H", "SHARED")
    assert {trial["trial"]: trial["outcome"] for trial in data["trials"]} == dict.fromkeys(
        ["device", "load", "accuracy", "latency", "kill", "sharing", "recovery"], "passed"
    )
    assert data["versions"]["hailort"] == "5.2.0 (emulated)"
    said = {trial["trial"]: trial["said"] for trial in data["trials"]}
    assert "a second program of the group SHARED transcribed beside this one" in said["sharing"]
    assert "in use by another program" in said["sharing"]
    assert len(done.stderr.splitlines()) == 7, "a line a trial, for whoever waits"


def test_hardware_is_insisted_on(tmp_path: Path, hef: Path) -> None:
    done = _selftest(tmp_path, hef, "--hardware")
    assert (done.returncode, done.stdout) == (1, "")
    assert "this one is emulated" in done.stderr


def test_a_device_that_hears_something_else(tmp_path: Path, device: Device) -> None:
    done = _selftest(tmp_path, device.hef(tmp_path, says="something else"))
    assert done.returncode == 1
    assert done.stdout.startswith("# hailo-whisper selftest: failed (emulated)\n")
    assert "| load | failed | The warm-up heard 'something else' instead of" in done.stdout


def test_a_device_that_another_program_has_for_itself(tmp_path: Path, hef: Path, somebody: Any) -> None:
    done = _selftest(tmp_path, hef, hailo={"device_wait_seconds": 0.5})
    assert done.returncode == 1
    assert "in use by another program" in done.stdout
    assert "hailo.group" in done.stdout


def test_a_device_that_hangs_is_not_waited_for_for_ever(tmp_path: Path, device: Device, hef: Path) -> None:
    device.tell("infer hang")
    done = _selftest(tmp_path, hef, limits={"load_seconds": 2.0})
    assert done.returncode == 1
    assert "did not answer within" in done.stdout


def test_a_device_that_is_away(tmp_path: Path, device: Device, hef: Path) -> None:
    device.tell("absent")
    done = _selftest(tmp_path, hef)
    assert done.returncode == 1
    assert "| device | failed | no Hailo device: HailoRT finds none |" in done.stdout
    assert "No Hailo device was found" in done.stdout

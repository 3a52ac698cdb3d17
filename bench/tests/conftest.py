"""A corpus and a model that cost nothing: the package's own clip, and the scripted engine that always hears it."""

import json
import os
import wave
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.peers import PROJECT

DATA = PROJECT / "app/src/hailo_whisper/data"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    clip, text = DATA / "clip.wav", (DATA / "clip.txt").read_text(encoding="utf-8").strip()
    with wave.open(str(clip)) as file:
        seconds = file.getnframes() / file.getframerate()
    entry = {"path": str(clip), "text": text, "language": "en", "seconds": seconds}
    folder = tmp_path / "corpus"
    folder.mkdir()
    manifest = {
        "short": {"en": [entry | {"name": f"clip-{number}"} for number in range(3)]},
        "long": {"en": entry | {"name": "long"}},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    (folder / "base").mkdir(parents=True)
    for name in ("model.bin", "config.json", "tokenizer.json"):
        (folder / "base" / name).write_text("{}")
    return folder


@pytest.fixture
def python_path(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put folders first where the programs that a test starts look for modules."""

    def put(*folders: Path) -> None:
        old = os.environ.get("PYTHONPATH", "")
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([*map(str, folders), str(PROJECT / "app/src"), str(PROJECT), old]))

    return put

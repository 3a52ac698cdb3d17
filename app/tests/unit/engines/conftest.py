"""What the tests of the CTranslate2 engine share."""

from pathlib import Path

import pytest
from fake_whisper import FakeWhisper, install

from hailo_whisper.engines.ctranslate2 import CTranslate2Engine
from hailo_whisper.engines.engine import ModelConfig


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """faster-whisper and CTranslate2 without a model."""
    install(monkeypatch.setattr)


@pytest.fixture
def engine(fakes: None, tmp_path: Path) -> CTranslate2Engine:
    (tmp_path / "config.json").write_text('{"alignment_heads": [[3, 1], [5, 2]]}')
    engine = CTranslate2Engine()
    engine.load(ModelConfig(tmp_path, "int8", 2, margin_seconds=3.0, least_seconds=8.0))
    return engine


@pytest.fixture
def model(engine: CTranslate2Engine) -> FakeWhisper:
    whisper: FakeWhisper = engine._whisper._model.model
    return whisper

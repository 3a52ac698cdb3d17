"""What the encoder is given: Whisper's log-mel spectrogram, in numpy, the same that faster-whisper makes.

The filters are those of Slaney's Auditory Toolbox, as librosa has them and Whisper was trained with.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from ...speech.waveform import RATE, Samples

WINDOW, HOP = 400, 160
FRAMES = RATE // HOP
"""Of features, a second."""
# The scale is linear up to a frequency, in Hz, and logarithmic above it.
STEP, BEND, ABOVE = 200 / 3, 1000.0, np.log(6.4) / 27
HIGHEST = BEND / STEP + np.log(RATE / 2 / BEND) / ABOVE
# In decades: the least power that counts, and how far below the loudest the quietest may be.
FLOOR, RANGE = 1e-10, 8.0

Features = NDArray[np.float32]


def features(samples: Samples, frames: int, mels: int = 80) -> Features:
    """The spectrogram of samples of shape (n,), filled up with silence or cut off to so many frames: shape (mels, frames)."""
    length = frames * HOP
    # With one frame of silence behind it, as faster-whisper does; and mirrored at both ends, so that a frame is about its middle.
    filled = np.zeros(length + HOP, np.float32)
    filled[: min(len(samples), length)] = samples[:length]
    mirrored = np.pad(filled, WINDOW // 2, mode="reflect")
    pieces = np.lib.stride_tricks.sliding_window_view(mirrored, WINDOW)[::HOP][: frames + 1]
    power = np.abs(np.fft.rfft(pieces * _window(), axis=1).astype(np.complex64)) ** 2
    heard = np.log10(np.maximum(_filters(mels) @ power.T, FLOOR))
    heard = np.maximum(heard, heard.max() - RANGE)
    found: Features = ((heard + 4) / 4)[:, :frames].astype(np.float32)
    return found


@cache
def _window() -> Features:
    return np.hanning(WINDOW + 1)[:-1].astype(np.float32)


@cache
def _filters(mels: int) -> Features:
    """Triangles over the frequencies, each of the same area: shape (mels, WINDOW // 2 + 1)."""
    points = np.linspace(0, HIGHEST, mels + 2)
    corners = np.where(points < BEND / STEP, points * STEP, BEND * np.exp((points - BEND / STEP) * ABOVE))
    distance = corners[:, None] - np.fft.rfftfreq(WINDOW, 1 / RATE)
    width = np.diff(corners)
    rising, falling = -distance[:-2] / width[:-1, None], distance[2:] / width[1:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    found: Features = (triangles * (2 / (corners[2:] - corners[:-2]))[:, None]).astype(np.float32)
    return found

"""How nothing is lost where the device's decoder loses it. Two of its ways do, in HailoRT 5.1 to 5.2 (docs/hailo.md has the sources).

It writes so many tokens for a window and no more: when they do not suffice, the rest of the window is left out without a word. And of several
segments that end in a single timestamp, the last one lacks its last token. Both show in the result, and what they are about is heard again
by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np

from ...speech.waveform import RATE, Samples
from .session import Heard

FULL = 27
"""Tokens of a segment from which the decoder may have been cut off: of its 32, two are timestamps; and what it wrote may be a few more
tokens than the same text when it is made into tokens again."""
LEAST = 1.5
"""Seconds; what is shorter is not parted any more."""
SEARCH = 0.3
"""Seconds before and after a place in which the quietest moment is looked for."""
MOMENT = 0.06
"""Seconds of such a moment."""
ENDINGS = tuple(".?!…。？！")
"""Signs after which no token is missing."""


class Ear(Protocol):
    """What hears: a session of the device."""

    def hear(self, samples: Samples, task: Literal["transcribe", "translate"], language: str | None) -> list[Heard]:
        """Transcribe."""
        ...

    def tokenize(self, text: str) -> list[int]:
        """The tokens of a text."""
        ...


@dataclass(frozen=True)
class Part:
    """A segment; times in seconds from the beginning of the window."""

    start: float
    end: float
    text: str
    tokens: list[int]


@dataclass(frozen=True)
class Listened:
    """What was heard in a window, and how often something of it was heard again."""

    parts: list[Part]
    again: int


def listen(ear: Ear, samples: Samples, task: Literal["transcribe", "translate"], language: str | None) -> Listened:
    """Hear a window of shape (n,), and again what was lost of it."""
    seconds = len(samples) / RATE
    parts = [
        Part(heard.start, min(heard.end, seconds), heard.text, ear.tokenize(heard.text))
        for heard in ear.hear(samples, task, language)
    ]
    parts = [part for part in parts if part.text.strip()]
    if not parts:
        return Listened([], 0)
    last = parts[-1]
    # All but the last are whole: where there are several, the decoder goes on from where it was cut off.
    full = len(last.tokens) >= FULL
    if len(parts) == 1:
        if not full or seconds < 2 * LEAST:
            return Listened(parts, 0)
        at = quietest(samples, seconds / 2, seconds / 6)
        first, second = listen(ear, samples[:at], task, language), listen(ear, samples[at:], task, language)
        return Listened([*first.parts, *_moved(second.parts, at)], first.again + second.again + 1)
    # One that begins at once would be heard in the same way again.
    if (last.text.rstrip().endswith(ENDINGS) and not full) or not 2 * SEARCH < last.start < seconds - SEARCH:
        return Listened(parts, 0)
    at = quietest(samples, last.start, SEARCH)
    rest = listen(ear, samples[at:], task, language)
    # A rest in which nothing was heard says nothing against what was heard before.
    return Listened([*parts[:-1], *_moved(rest.parts, at)] if rest.parts else parts, rest.again + 1)


def _moved(parts: Sequence[Part], at: int) -> list[Part]:
    """Parts of a stretch that begins at a sample of the window."""
    offset = at / RATE
    return [replace(part, start=part.start + offset, end=part.end + offset) for part in parts]


def quietest(samples: Samples, at: float, within: float) -> int:
    """The sample in the middle of the quietest moment around `at` seconds; never the first or the last."""
    moment = round(MOMENT * RATE)
    first = max(round((at - within) * RATE), 1)
    last = min(round((at + within) * RATE), len(samples) - 1)
    if last - first <= moment:
        return min(max(round(at * RATE), 1), max(len(samples) - 1, 1))
    energy = np.convolve(samples[first:last].astype(np.float64) ** 2, np.ones(moment), "valid")
    return first + int(energy.argmin()) + moment // 2

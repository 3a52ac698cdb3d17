"""Windows: the spans of a waveform that the engine is given, cut where nobody speaks."""

from collections.abc import Sequence
from dataclasses import dataclass

from .waveform import RATE


@dataclass(frozen=True)
class Span:
    """A stretch of speech: samples `start` to `end` (exclusive) of a waveform."""

    start: int
    end: int


@dataclass(frozen=True)
class Window:
    """Samples `start` to `end` (exclusive) of a waveform."""

    start: int
    end: int

    @property
    def offset(self) -> float:
        """Where the window begins in the recording, in seconds."""
        return self.start / RATE

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return (self.end - self.start) / RATE


@dataclass(frozen=True)
class Rules:
    """How windows are cut; all in seconds."""

    longest: float
    """A window is no longer, its padding counted in."""
    longest_pause: float
    """A longer pause ends a window."""
    pad: float
    """Sound that is kept before and after speech, as far as there is any and the neighbour does not have it."""


def cut(speech: Sequence[Span], length: int, rules: Rules) -> list[Window]:
    """Cut the speech of a waveform of `length` samples into windows.

    `speech` is in order and does not overlap. A window that would grow too long ends at the longest pause in its later half;
    speech without any pause is cut where it must be.
    """
    pad, longest_pause = round(rules.pad * RATE), round(rules.longest_pause * RATE)
    longest = max(int(rules.longest * RATE), 1)
    room = max(longest - 2 * pad, 1)
    spans = [part for span in speech for part in _parts(span, room)]
    windows: list[Window] = []
    first = 0
    while first < len(spans):
        last = first
        while (
            last + 1 < len(spans)
            and spans[last + 1].end - spans[first].start <= room
            and spans[last + 1].start - spans[last].end <= longest_pause
        ):
            last += 1
        full = last + 1 < len(spans) and spans[last + 1].start - spans[last].end <= longest_pause
        if full:
            last = _longest_pause(spans, first, last, room)
        start, end = spans[first].start - pad, spans[last].end + pad
        # Up to the middle of the pause, of which the neighbour has the other half.
        if first:
            start = max(start, (spans[first - 1].end + spans[first].start) // 2)
        if last + 1 < len(spans):
            end = min(end, (spans[last].end + spans[last + 1].start) // 2)
        windows.append(Window(max(start, 0), min(end, length)))
        first = last + 1
    return windows


def _parts(span: Span, room: int) -> list[Span]:
    return [Span(start, min(start + room, span.end)) for start in range(span.start, span.end, room)]


def _longest_pause(spans: Sequence[Span], first: int, last: int, room: int) -> int:
    """The span of `first` to `last` after which the longest pause comes, among those that leave half a window or more."""
    half = spans[first].start + room // 2
    candidates = [i for i in range(first, last + 1) if spans[i].end >= half] or [last]
    return max(candidates, key=lambda i: (spans[i + 1].start - spans[i].end, i))

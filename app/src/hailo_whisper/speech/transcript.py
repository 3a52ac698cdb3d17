"""Transcript: what was said, when, and how sure the engine is. It knows nothing of formats."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .windows import Window


@dataclass(frozen=True)
class Segment:
    """A stretch of speech. Times are seconds from the beginning of the recording; what an engine cannot tell is None."""

    start: float
    end: float
    text: str
    """With the leading space that Whisper's tokens have."""
    tokens: list[int]
    temperature: float
    avg_logprob: float | None
    """Mean natural logarithm of the tokens' probabilities."""
    compression_ratio: float
    """Size of the text over its size compressed by zlib: above 2.4 it repeats itself."""
    no_speech_prob: float | None
    seek: int
    """The engine's position when it decoded this segment, in frames of 10 ms."""


@dataclass(frozen=True)
class WindowResult:
    """What the engine heard in one window; the segments' times count from the window's beginning."""

    segments: list[Segment]
    language: str
    """ISO 639-1 code: the one that was asked for, or the one that was detected."""
    fallbacks: int = 0
    """Decodings that looked wrong and were done again."""


@dataclass(frozen=True)
class Transcript:
    """What was said in one recording."""

    segments: list[Segment]
    language: str
    duration: float
    """Of the recording, in seconds."""

    @property
    def text(self) -> str:
        """All the words."""
        return "".join(segment.text for segment in self.segments).strip()


def join(windows: Sequence[Window], results: Sequence[WindowResult], duration: float, language: str | None) -> Transcript:
    """Put the windows' results together, with their times counted from the beginning of the recording.

    `duration` is that of the recording, in seconds. The language is that of the first window that has speech, else the one
    that was asked for, else "en", as Whisper itself says of silence.
    """
    segments = [
        replace(
            segment,
            start=segment.start + window.offset,
            end=min(segment.end + window.offset, duration),
            seek=segment.seek + round(window.offset * 100),
        )
        for window, result in zip(windows, results, strict=True)
        for segment in result.segments
    ]
    heard = [result.language for result in results if result.segments] or [result.language for result in results]
    return Transcript(segments, heard[0] if heard else language or "en", duration)

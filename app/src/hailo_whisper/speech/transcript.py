"""Transcript: what was said, when, and how sure the engine is. It knows nothing of formats."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .windows import Window


@dataclass(frozen=True)
class Word:
    """A word as it is written, with the punctuation that belongs to it and no spaces around it. Times as a segment's."""

    start: float
    end: float
    text: str
    probability: float | None
    """Mean probability of its tokens, 0 to 1; None where the engine cannot tell."""


@dataclass(frozen=True)
class Token:
    """What the decoder wrote at a time: a word, a part of one, or a part of a character."""

    text: str
    """With the leading space that Whisper's tokens have; a character that is not whole is U+FFFD."""
    logprob: float
    """Natural logarithm of its probability."""
    bytes: list[int]
    """Its UTF-8: those of all the tokens make up the text."""


@dataclass(frozen=True)
class Segment:
    """A stretch of speech. Times are seconds from the beginning of the recording; what an engine cannot tell is None."""

    start: float
    end: float
    text: str
    """With the leading space that Whisper's tokens have, and none at the end."""
    tokens: list[int]
    temperature: float
    avg_logprob: float | None
    """Mean natural logarithm of the tokens' probabilities."""
    compression_ratio: float
    """Size of the text over its size compressed by zlib: above 2.4 it repeats itself."""
    no_speech_prob: float | None
    seek: int
    """The engine's position when it decoded this segment, in frames of 10 ms."""
    words: list[Word] | None = None
    """In order; None when nobody asked for them."""
    logprobs: list[Token] | None = None
    """The tokens of the text, whose bytes are its own; None when nobody asked for them."""


@dataclass(frozen=True)
class WindowResult:
    """What the engine heard in one window; the segments' times count from the window's beginning."""

    segments: list[Segment]
    language: str | None
    """ISO 639-1 code: the one that was asked for, or the one that was detected; None: detected by an engine that does not say which."""
    fallbacks: int = 0
    """Decodings that looked wrong and were done again."""


@dataclass(frozen=True)
class Transcript:
    """What was said in one recording."""

    segments: list[Segment]
    language: str | None
    """ISO 639-1 code; None where the engine detected it and cannot say which it is."""
    duration: float
    """Of the recording, in seconds."""

    @property
    def text(self) -> str:
        """All the words."""
        return "".join(segment.text for segment in self.segments).strip()

    @property
    def words(self) -> list[Word]:
        """The words of all segments that have them."""
        return [word for segment in self.segments for word in segment.words or []]

    @property
    def logprobs(self) -> list[Token]:
        """The tokens of all segments that have them, without the spaces around the text: their bytes are those of `text`."""
        tokens = [token for segment in self.segments for token in segment.logprobs or []]
        return ended(_begun(tokens))


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
            words=_shifted(segment.words, window.offset, duration),
        )
        for window, result in zip(windows, results, strict=True)
        for segment in result.segments
    ]
    heard = [result.language for result in results if result.segments] or [result.language for result in results]
    return Transcript(segments, heard[0] if heard else language or "en", duration)


def _shifted(words: list[Word] | None, offset: float, duration: float) -> list[Word] | None:
    """Words with `offset` seconds added to their times, kept within the recording."""
    if words is None:
        return None
    return [replace(word, start=min(word.start + offset, duration), end=min(word.end + offset, duration)) for word in words]


def ended(tokens: list[Token]) -> list[Token]:
    """Tokens without the white space after the last letter; those of nothing else are left out."""
    last = len(tokens)
    while last and not tokens[last - 1].text.strip():
        last -= 1
    return [*tokens[: last - 1], _cut(tokens[last - 1], tokens[last - 1].text.rstrip())] if last else []


def _begun(tokens: list[Token]) -> list[Token]:
    """Tokens without the white space before the first letter; those of nothing else are left out."""
    first = 0
    while first < len(tokens) and not tokens[first].text.strip():
        first += 1
    return [_cut(tokens[first], tokens[first].text.lstrip()), *tokens[first + 1 :]] if first < len(tokens) else []


def _cut(token: Token, text: str) -> Token:
    """The token with `text`, its own less some white space at one end."""
    gone = len(token.text.encode()) - len(text.encode())
    data = token.bytes[gone:] if token.text.endswith(text) else token.bytes[: len(token.bytes) - gone]
    return replace(token, text=text, bytes=data)

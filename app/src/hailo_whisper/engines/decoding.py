"""What Whisper's decoder gave for one window: whether to believe it, and where its segments begin and end.

The thresholds and the rules are those of https://github.com/openai/whisper, transcribe().
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

COMPRESSION_RATIO = 2.4
"""Above it the text repeats itself."""
AVG_LOGPROB = -1.0
"""Below it the decoder was guessing."""
NO_SPEECH = ((0.6, -0.8), (0.8, -0.5))
"""Above such a probability of no speech, words with less than that log-probability are none: of hum and hiss Whisper hears "you" and
"thank you". On the corpora of bench/ speech has at most 0.63 and there -0.4; noise with 0.8 reaches -0.55."""
MAYBE_NO_SPEECH = 0.3
"""Above it, and when every try looks wrong, there is no speech either; speech that is hard to understand has less."""
TICK = 0.02
"""Seconds from one timestamp token to the next."""


@dataclass(frozen=True)
class Decoded:
    """One decoding of a window."""

    tokens: list[int]
    """Of text and of timestamps, without the prompt and the end."""
    text: str
    temperature: float
    avg_logprob: float
    no_speech_prob: float
    finished: bool
    """Whether the decoder came to an end by itself."""
    context: float = 30.0
    """Seconds that the encoder was given."""

    @property
    def compression_ratio(self) -> float:
        """As `compression_ratio` gives it for the text."""
        return compression_ratio(self.text)

    @property
    def silent(self) -> bool:
        """Whether what was heard is no speech."""
        return any(self.no_speech_prob > above and self.avg_logprob < below for above, below in NO_SPEECH)

    @property
    def doubtful(self) -> bool:
        """Whether it looks wrong, so that another try is worth its time."""
        return not self.finished or self.compression_ratio > COMPRESSION_RATIO or self.avg_logprob < AVG_LOGPROB


@dataclass(frozen=True)
class Part:
    """The tokens between two timestamps; times are seconds from the beginning of the window."""

    start: float
    end: float
    tokens: list[int]


def compression_ratio(text: str) -> float:
    """Size of the text in UTF-8 over its size compressed by zlib; 0 for no text."""
    data = text.encode()
    return len(data) / len(zlib.compress(data)) if data else 0.0


def chosen(tries: Sequence[Decoded]) -> Decoded | None:
    """Of all tries of a window the one to believe; None when what was heard is no speech.

    The last one is good, or heard silence, or there was no other left: then it is the best of them all, except where there may
    be no speech. In noise and music the decoder finds no sense at any temperature, and what it then says is invented.
    """
    last = tries[-1]
    if last.silent:
        return None
    if not last.doubtful:
        return last
    return None if last.no_speech_prob > MAYBE_NO_SPEECH else best(tries)


def best(tries: Sequence[Decoded]) -> Decoded:
    """Of several tries that all look wrong, the likeliest of those that do not repeat themselves."""
    sane = [decoded for decoded in tries if decoded.compression_ratio <= COMPRESSION_RATIO]
    return max(sane or tries, key=lambda decoded: decoded.avg_logprob)


def parts(tokens: Sequence[int], timestamp_begin: int, duration: float, finished: bool = True) -> tuple[list[Part], float]:
    """Cut the tokens of a window of `duration` seconds at their timestamps, of which `timestamp_begin` is 0 s.

    Returns the parts and how far, in seconds, the decoder has listened. Text that no timestamp closes lasts until the end of
    the window, unless the decoder was cut off, not `finished`, after at least one part: then that text is left out, and will be
    heard again from where the last part ended. No end comes before its beginning, nothing lies outside of the window, and what
    is said after its end, in the margin, is invented.
    """
    found: list[Part] = []
    start, words = 0.0, list[int]()
    heard = 0.0
    for token in tokens:
        if token < timestamp_begin:
            words.append(token)
            continue
        at = (token - timestamp_begin) * TICK
        heard = max(heard, min(at, duration))
        if words and start < duration:
            found.append(Part(start, min(max(at, start), duration), words))
        words = []
        start = at
    if words and (finished or not found):
        if start < duration:
            found.append(Part(start, duration, words))
        heard = duration
    return found, heard

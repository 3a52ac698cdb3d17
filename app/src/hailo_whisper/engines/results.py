"""The engine's answer, as it comes over the wire: it is checked, because a sick accelerator may return anything."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..speech.transcript import Segment, Token, WindowResult, Word
from ..speech.windows import Window
from .failures import Nonsense

SLACK = 1.0
"""Seconds that a segment may reach beyond what the engine was given: Whisper's time stamps are not exact."""


def results(answer: Mapping[str, Any], windows: Sequence[Window], longest: float) -> list[WindowResult]:
    """One result for each window, its times kept within the window. Raises Nonsense.

    `longest` is the engine's own window in seconds: a model that was given 5 s of sound padded to 30 may hear something in the
    padding, and that is no nonsense.
    """
    found = answer.get("results")
    if not isinstance(found, list) or len(found) != len(windows):
        count = len(found) if isinstance(found, list) else "no"
        raise Nonsense(f"The engine failed: it gave {count} results for {len(windows)} windows.")
    try:
        return [_result(data, window.duration, longest) for data, window in zip(found, windows, strict=True)]
    except (TypeError, KeyError, ValueError) as error:
        raise Nonsense(f"The engine failed: its answer makes no sense ({error}).") from None


def _result(data: Mapping[str, Any], duration: float, longest: float) -> WindowResult:
    segments = [_segment(segment, duration, longest) for segment in data["segments"]]
    result = WindowResult(**{**data, "segments": segments})
    if not isinstance(result.language, str | None):
        raise TypeError(f"the language is {result.language!r}")
    return result


def _segment(data: Mapping[str, Any], duration: float, longest: float) -> Segment:
    segment = Segment(
        **{
            **data,
            "words": _words(data.get("words"), duration, longest),
            "logprobs": _tokens(data.get("logprobs")),
        }
    )
    if not isinstance(segment.text, str):
        raise TypeError(f"a text is {segment.text!r}")
    if not all(isinstance(token, int) for token in segment.tokens):
        raise TypeError("a token is no number")
    if not (math.isfinite(segment.temperature) and math.isfinite(segment.compression_ratio)):
        raise ValueError("a measure of a segment is not finite")
    if not all(value is None or math.isfinite(value) for value in (segment.avg_logprob, segment.no_speech_prob)):
        raise ValueError("a score of a segment is not finite")
    if not 0 <= segment.start <= segment.end <= max(duration, longest) + SLACK:
        raise ValueError(f"a segment lies at {segment.start} to {segment.end} s of a window of {duration:.2f} s")
    return replace(segment, start=min(segment.start, duration), end=min(segment.end, duration))


def _words(found: Sequence[Mapping[str, Any]] | None, duration: float, longest: float) -> list[Word] | None:
    if found is None:
        return None
    words = [Word(**data) for data in found]
    before = 0.0
    for word in words:
        if not isinstance(word.text, str):
            raise TypeError(f"a word is {word.text!r}")
        if word.probability is not None and not 0 <= word.probability <= 1:
            raise ValueError(f"a word's probability is {word.probability}")
        if not before <= word.start <= word.end <= max(duration, longest) + SLACK:
            raise ValueError(f"a word lies at {word.start} to {word.end} s of a window of {duration:.2f} s, after {before} s")
        before = word.start
    return [replace(word, start=min(word.start, duration), end=min(word.end, duration)) for word in words]


def _tokens(found: Sequence[Mapping[str, Any]] | None) -> list[Token] | None:
    if found is None:
        return None
    tokens = [Token(**data) for data in found]
    for token in tokens:
        if not isinstance(token.text, str):
            raise TypeError(f"a token's text is {token.text!r}")
        if not (math.isfinite(token.logprob) and token.logprob <= 0):
            raise ValueError(f"a token's logarithm of a probability is {token.logprob}")
        if not all(isinstance(byte, int) and 0 <= byte < 256 for byte in token.bytes):
            raise ValueError("a token's bytes are none")
    return tokens

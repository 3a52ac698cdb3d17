"""The engine's answer, as it comes over the wire: it is checked, because a sick accelerator may return anything."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..speech.transcript import Segment, WindowResult
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
    if not isinstance(result.language, str):
        raise TypeError(f"the language is {result.language!r}")
    return result


def _segment(data: Mapping[str, Any], duration: float, longest: float) -> Segment:
    segment = Segment(**data)
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

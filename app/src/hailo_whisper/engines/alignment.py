"""When each word was said: from where the decoder looked at the sound for each token, to words with times.

The rules are those of https://github.com/openai/whisper, timing.py. Pure: the engine gives the numbers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median

import numpy as np
from numpy.typing import NDArray

from ..speech.transcript import Token, Word, ended
from . import spelling

LONGEST_MEDIAN = 0.7
"""Seconds; words of which half are longer are not aligned well, and no measure for the others."""
PAUSE = 4
"""Median words of nothing, after which the first word often begins too early."""
SLACK = 0.5
"""Seconds that a segment's first and last word may reach beyond it before the segment's own times are taken for right."""
LOUD = 0.3
"""Of the way from the softest to the loudest frames of a window: there begins what is no longer silence."""
SENTENCE_ENDS = (".", "。", "!", "！", "?", "？")
# Of a 32 bit float, whose logarithm is -87: what is less came out as 0.
TINY = 1.2e-38


@dataclass(frozen=True)
class Heard:
    """A token of text, when the decoder heard it (seconds), and how probable it was."""

    data: bytes
    start: float
    end: float
    probability: float


@dataclass(frozen=True)
class Stretch:
    """A segment: its times as the decoder wrote them, in seconds, and its tokens."""

    start: float
    end: float
    tokens: Sequence[Heard]


def times(path: Sequence[tuple[int, int]], count: int, tick: float, duration: float) -> list[float]:
    """When each of `count` tokens begins, and when the last one ends: `count` + 1 times in seconds.

    `path` is the alignment: pairs of a token's number and a tick, in order. Where there is none, for there were no ticks to
    align with, all of it lasts all the `duration`.
    """
    begins: dict[int, int] = {}
    for token, at in path:
        begins.setdefault(token, at)
    found = [0.0]
    for token in range(1, count + 1):
        found.append(begins[token] * tick if token in begins else duration if token == count else found[-1])
    if 0 in begins:
        found[0] = begins[0] * tick
    return [min(time, duration) for time in found]


def logprobs(tokens: Sequence[Heard]) -> list[Token]:
    """The tokens of a segment as its text has them: those without any text are left out, and the white space after the last."""
    found = [
        Token(token.data.decode(errors="replace"), min(math.log(max(token.probability, TINY)), 0.0), list(token.data))
        for token in tokens
        if token.data
    ]
    return ended(found)


def onset(features: NDArray[np.float32], rate: float) -> float:
    """When it first grows loud in features of shape (bands, frames), `rate` frames a second; 0 where it always is or has no frame."""
    if not features.shape[1]:
        return 0.0
    levels = features.mean(axis=0)
    low, high = np.percentile(levels, (5, 95))
    return float(np.argmax(levels >= low + LOUD * (high - low))) / rate


def words(stretches: Sequence[Stretch], duration: float, *, spaced: bool, begin: float = 0.0) -> list[list[Word]]:
    """The words of each stretch, in order and without overlap, all within `duration` seconds. `spaced` is that of spelling.words.

    An alignment always begins at 0, and the first word with it; `begin` is when there is something to be heard.
    """
    found = [_words(stretch.tokens, spaced) for stretch in stretches]
    lengths = [length for some in found for word in some if (length := word.end - word.start) > 0]
    typical = min(median(lengths), LONGEST_MEDIAN) if lengths else 0.0
    if lengths:
        found = _shortened(_begun(found, begin, typical), 2 * typical)
    before = 0.0
    for i, stretch in enumerate(stretches):
        if found[i]:
            found[i] = _fitted(_after_pause(found[i], before, typical), stretch, typical)
            before = found[i][-1].end
    return _in_order(found, duration)


def _words(tokens: Sequence[Heard], spaced: bool) -> list[Word]:
    return [
        Word(
            tokens[word.first].start,
            tokens[word.last - 1].end,
            word.text,
            min(fmean(token.probability for token in tokens[word.first : word.last]), 1.0),
        )
        for word in spelling.words([token.data for token in tokens], spaced=spaced)
    ]


def _begun(found: list[list[Word]], begin: float, typical: float) -> list[list[Word]]:
    """The first word of all begins when there is sound, and still lasts as long as a typical one."""
    for some in found:
        if some:
            first = some[0]
            some[0] = replace(first, start=max(first.start, min(begin, first.end - min(typical, first.end - first.start))))
            break
    return found


def _shortened(found: Sequence[list[Word]], longest: float) -> list[list[Word]]:
    """The first word of a sentence is not longer than `longest`: what is more is the pause before it."""
    shortened: list[list[Word]] = []
    ended = False
    for some in found:
        shortened.append([])
        for word in some:
            late = ended and word.end - word.start > longest
            shortened[-1].append(replace(word, start=word.end - longest) if late else word)
            ended = word.text.rstrip("\"'”’»)]").endswith(SENTENCE_ENDS)
    return shortened


def _after_pause(some: list[Word], before: float, typical: float) -> list[Word]:
    """The first and the second word after a pause are not longer than two typical ones. `before` is the end of the last word."""
    first, second, longest = some[0], some[1] if len(some) > 1 else None, 2 * typical
    paused = first.end - before > PAUSE * typical
    if not paused or not (first.end - first.start > longest or (second is not None and second.end - first.start > 2 * longest)):
        return some
    if second is not None and second.end - second.start > longest:
        boundary = max(second.end / 2, second.end - longest)
        first, second = replace(first, end=boundary), replace(second, start=boundary)
    first = replace(first, start=max(0.0, first.end - longest, min(first.start, first.end)))
    return [first, *([second] if second is not None else []), *some[2:]]


def _fitted(some: list[Word], stretch: Stretch, typical: float) -> list[Word]:
    """A first or last word that reaches far beyond its segment is brought back to it."""
    first = some[0]
    if stretch.start < first.end and stretch.start - SLACK > first.start:
        some = [replace(first, start=max(0.0, min(first.end - typical, stretch.start))), *some[1:]]
    last = some[-1]
    if stretch.end > last.start and stretch.end + SLACK < last.end:
        some = [*some[:-1], replace(last, end=max(last.start + typical, stretch.end))]
    return some


def _in_order(found: Sequence[list[Word]], duration: float) -> list[list[Word]]:
    before = 0.0
    ordered: list[list[Word]] = []
    for some in found:
        ordered.append([])
        for word in some:
            start = min(max(word.start, before), duration)
            before = min(max(word.end, start), duration)
            ordered[-1].append(replace(word, start=start, end=before))
    return ordered

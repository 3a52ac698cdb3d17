"""What becomes of the tokens of one pass of the decoder: segments, and where the next pass begins. Two defects are HailoRT's own.

Read in hailort_server/genai/speech2text of HailoRT 5.2.0: a pass without a pair of timestamps counts as having heard its whole window, even
when it was cut off by the cap; and of several segments that end in one timestamp, the last one loses its last token.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

TICK = 0.02


@dataclass(frozen=True)
class Segment:
    """Times in seconds."""

    start: float
    end: float
    text: str


def segments(
    tokens: Sequence[int],
    begin: int,
    offset: float,
    duration: float,
    spell: Callable[[Sequence[int]], str],
    *,
    ideal: bool = False,
) -> tuple[list[Segment], float]:
    """The segments of a pass over `duration` seconds that begin at `offset`, and how many of these seconds it has heard.

    `begin` is the timestamp of 0 s; `spell` makes text of tokens.
    """
    pairs = [n for n in range(1, len(tokens)) if tokens[n] >= begin and tokens[n - 1] >= begin]
    closed = len(tokens) >= 2 and tokens[-1] >= begin > tokens[-2]
    if not pairs:
        stamps = [token for token in tokens if token >= begin]
        end = (stamps[-1] - begin) * TICK if stamps and stamps[-1] != begin else duration
        words = tokens[1:-1] if len(tokens) > 1 and tokens[-1] >= begin else tokens[1:]
        return [Segment(offset, offset + end, spell(words))], duration
    if closed:
        pairs.append(len(tokens) - 1)
    found, first = [], 0
    for last in pairs:
        # At a pair the token before is the first of its two; at the end there is one only, and so a word is lost.
        upto = last if ideal and closed and last == len(tokens) - 1 else last - 1
        start, end = (tokens[first] - begin) * TICK, (tokens[last] - begin) * TICK
        found.append(Segment(offset + start, offset + end, spell(tokens[first + 1 : upto])))
        first = last
    return found, duration if closed else (tokens[pairs[-1]] - begin) * TICK

"""What Whisper's decoder may say next: the rules of https://github.com/openai/whisper, decoding.py, on the logits of one place."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..decoding import TICK
from .vocabulary import Vocabulary

Logits = NDArray[np.float64]

FIRST_STAMP = 1.0
"""Seconds after which nothing may begin that is the first in its window."""
# Tokens before a place of which none is repeated lightly, where a penalty for that is wanted.
RECENT = 8
# Signs that come again and again in any text: "," and "." of both vocabularies.
PUNCTUATION = (11, 13)


def allowed(logits: Logits, said: Sequence[int], vocabulary: Vocabulary, seconds: float) -> Logits:
    """The logits of what comes after `said`, minus infinity for what may not; `seconds` is where the window ends.

    Timestamps come in pairs, but for the last before the end, and none is before another; where all of them together are likelier than
    any text, it is one of them.
    """
    found = logits.copy()
    begin, end = vocabulary.timestamp_begin, vocabulary.end
    found[vocabulary.never] = -np.inf
    found[begin + round(seconds / TICK) + 1 :] = -np.inf
    if not said:
        found[:begin] = -np.inf
        found[begin + round(FIRST_STAMP / TICK) + 1 :] = -np.inf
        return found
    stamps = [token for token in said if token >= begin]
    closing = said[-1] >= begin and len(said) > 1
    if closing and said[-2] >= begin:
        found[begin:] = -np.inf
    elif closing:
        found[:end] = -np.inf
    elif said[-1] >= begin:
        # The first of all opens a segment, and text has to follow.
        found[begin:] = -np.inf
    if stamps:
        # The second of a pair may be the same moment again; what closes a segment may not be where that began.
        found[begin : stamps[-1] + (0 if closing else 1)] = -np.inf
    odds = log_probabilities(found)
    if _sum(odds[begin:]) > odds[:begin].max():
        found[:begin] = -np.inf
    return found


def penalised(logits: Logits, said: Sequence[int], penalty: float, vocabulary: Vocabulary) -> Logits:
    """The logits with those of the last few tokens of text made less likely: as `repetition_penalty` elsewhere, above 1."""
    recent = {token for token in said[-RECENT:] if token < vocabulary.end} - {*PUNCTUATION}
    found = logits.copy()
    for token in recent:
        found[token] = found[token] / penalty if found[token] > 0 else found[token] * penalty
    return found


def log_probabilities(logits: Logits) -> Logits:
    """The natural logarithms of the probabilities."""
    shifted = logits - logits.max()
    found: Logits = shifted - np.log(np.exp(shifted).sum())
    return found


def _sum(odds: Logits) -> float:
    """The logarithm of the sum of probabilities that are given by theirs."""
    top = odds.max()
    return float(top + np.log(np.exp(odds - top).sum())) if np.isfinite(top) else -math.inf

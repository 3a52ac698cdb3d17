"""What the decoder may say next, as openai-whisper's decoding.py rules it."""

import math

import numpy as np
import pytest

from hailo_whisper.engines.hailo import rules
from hailo_whisper.engines.hailo.vocabulary import Vocabulary
from hailo_whisper.models.official import MULTILINGUAL

WORDS = Vocabulary(MULTILINGUAL)
BEGIN, END = WORDS.timestamp_begin, WORDS.end
HELLO, THERE = 2425, 456
SECONDS = 4.0


def at(seconds: float) -> int:
    """The token of a timestamp."""
    return BEGIN + round(seconds / 0.02)


def _may(said: list[int], **likely: float) -> set[int]:
    """What may be said, of a few tokens that stand for all."""
    logits = np.zeros(WORDS.size)
    found = rules.allowed(logits, said, WORDS, SECONDS)
    some = {HELLO, END, at(0), at(1), at(1.02), at(2), at(3), at(4), at(4.02), WORDS.start, 50363}
    return {token for token in some if math.isfinite(found[token])}


def test_it_begins_with_a_timestamp_within_a_second() -> None:
    assert _may([]) == {at(0), at(1)}


def test_after_the_first_timestamp_comes_text_or_nothing() -> None:
    assert _may([at(0)]) == {HELLO, END}


def test_text_that_is_likelier_than_all_timestamps_together_goes_on() -> None:
    logits = np.zeros(WORDS.size)
    logits[HELLO] = 20.0
    found = rules.allowed(logits, [at(0), HELLO], WORDS, SECONDS)
    assert math.isfinite(found[HELLO])
    assert math.isfinite(found[END])
    assert not math.isfinite(found[at(0)]), "no segment ends where it begins"
    assert math.isfinite(found[at(0.02)])


def test_else_a_timestamp_closes_the_segment() -> None:
    assert _may([at(1), HELLO]) == {at(1.02), at(2), at(3), at(4)}


def test_what_closed_a_segment_is_followed_by_another_or_the_end() -> None:
    assert _may([at(0), HELLO, at(2)]) == {at(2), at(3), at(4)}
    logits = np.zeros(WORDS.size)
    logits[END] = 20.0
    assert int(rules.allowed(logits, [at(0), HELLO, at(2)], WORDS, SECONDS).argmax()) == END


def test_a_pair_is_followed_by_text() -> None:
    assert _may([at(0), HELLO, at(2), at(2)]) == {HELLO, END}


def test_nothing_ends_after_the_window() -> None:
    assert at(4.02) not in _may([at(0), HELLO])
    assert at(4) in _may([at(0), HELLO])


def test_signs_that_nobody_speaks_are_never_said() -> None:
    logits = np.zeros(WORDS.size)
    logits[WORDS.never] = 50.0
    for said in ([], [at(0)], [at(0), HELLO]):
        assert int(rules.allowed(logits, said, WORDS, SECONDS).argmax()) not in WORDS.never


def test_the_logits_themselves_stay_as_they_are() -> None:
    logits = np.zeros(WORDS.size)
    rules.allowed(logits, [], WORDS, SECONDS)
    rules.penalised(logits + 1, [at(0), HELLO], 2.0, WORDS)
    assert not logits.any()


class TestPenalty:
    def test_of_what_was_just_said(self) -> None:
        logits = np.zeros(WORDS.size)
        logits[HELLO], logits[THERE] = 3.0, -3.0
        found = rules.penalised(logits, [at(0), HELLO, THERE], 1.5, WORDS)
        assert (found[HELLO], found[THERE]) == (2.0, -4.5)

    @pytest.mark.parametrize("token", [11, 13, at(0), END], ids=["comma", "full stop", "timestamp", "end"])
    def test_not_of_what_comes_again_in_any_text(self, token: int) -> None:
        logits = np.full(WORDS.size, 3.0)
        assert rules.penalised(logits, [token], 1.5, WORDS)[token] == 3.0

    def test_not_of_what_is_long_gone(self) -> None:
        logits = np.full(WORDS.size, 3.0)
        said = [HELLO, *[THERE] * rules.RECENT]
        found = rules.penalised(logits, said, 1.5, WORDS)
        assert (found[HELLO], found[THERE]) == (3.0, 2.0)


def test_probabilities_are_whole() -> None:
    odds = rules.log_probabilities(np.array([1000.0, 999.0, -np.inf]))
    assert np.exp(odds).sum() == pytest.approx(1.0)
    assert odds[0] - odds[1] == pytest.approx(1.0)
    assert odds[2] == -np.inf

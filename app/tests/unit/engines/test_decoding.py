from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hailo_whisper.engines.decoding import Decoded, Part, best, chosen, compression_ratio, parts

BEGIN = 1000
GOOD = Decoded(tokens=[1], text="Yes.", temperature=0.0, avg_logprob=-0.3, no_speech_prob=0.01, finished=True)


def at(seconds: float) -> int:
    """The token of a timestamp."""
    return BEGIN + round(seconds / 0.02)


def test_a_good_result_is_believed() -> None:
    assert not GOOD.doubtful
    assert not GOOD.silent


@pytest.mark.parametrize(
    "wrong", [{"text": "again and " * 40}, {"avg_logprob": -1.1}, {"finished": False}], ids=["repeats", "guesses", "endless"]
)
def test_what_looks_wrong_is_doubtful(wrong: dict[str, object]) -> None:
    assert replace(GOOD, **wrong).doubtful  # type: ignore[arg-type]


def test_silence_needs_both_signs() -> None:
    assert replace(GOOD, avg_logprob=-0.9, no_speech_prob=0.7).silent
    assert not replace(GOOD, no_speech_prob=0.7).silent
    assert not replace(GOOD, avg_logprob=-1.1).silent
    assert not replace(GOOD, avg_logprob=-0.7, no_speech_prob=0.7).silent
    assert replace(GOOD, avg_logprob=-0.7, no_speech_prob=0.9).silent
    assert not replace(GOOD, avg_logprob=-0.4, no_speech_prob=0.9).silent


def test_the_last_try_counts_when_it_is_good() -> None:
    guess = replace(GOOD, avg_logprob=-1.5)
    assert chosen([guess, GOOD]) == GOOD
    assert chosen([replace(GOOD, no_speech_prob=0.5)]) == replace(GOOD, no_speech_prob=0.5)


def test_what_no_try_makes_sense_of_is_the_best_of_them_or_no_speech() -> None:
    guess, better = replace(GOOD, avg_logprob=-1.5), replace(GOOD, avg_logprob=-1.2)
    assert chosen([better, guess]) == better
    noise = [replace(one, no_speech_prob=0.4) for one in (better, guess)]
    assert chosen(noise) is None
    assert chosen([GOOD, replace(GOOD, avg_logprob=-0.9, no_speech_prob=0.7)]) is None, "it is believed that there is silence"


def test_the_compression_ratio_is_that_of_zlib() -> None:
    assert compression_ratio("") == 0.0
    assert compression_ratio("ab") == pytest.approx(2 / 10)
    assert compression_ratio("abc" * 100) > 10


def test_the_best_of_bad_tries_does_not_repeat_itself() -> None:
    loop = replace(GOOD, text="again and " * 40, avg_logprob=-0.1)
    guess, better = replace(GOOD, avg_logprob=-1.5), replace(GOOD, avg_logprob=-1.2)
    assert best([loop, guess, better]) == better
    assert best([loop]) == loop


def test_parts_are_what_lies_between_timestamps() -> None:
    tokens = [at(0), 1, 2, at(1.5), at(2), 3, at(3.2)]
    assert parts(tokens, BEGIN, 4.0) == ([Part(0.0, 1.5, [1, 2]), Part(2.0, 3.2, [3])], 3.2)


def test_text_that_no_timestamp_closes_lasts_to_the_end() -> None:
    assert parts([at(0), 1, at(1), at(1.2), 2], BEGIN, 4.0) == ([Part(0.0, 1.0, [1]), Part(1.2, 4.0, [2])], 4.0)
    assert parts([1, 2], BEGIN, 4.0) == ([Part(0.0, 4.0, [1, 2])], 4.0)


def test_a_timestamp_alone_says_how_far_was_listened() -> None:
    assert parts([at(0), 1, at(1), at(1)], BEGIN, 30.0) == ([Part(0.0, 1.0, [1])], 1.0)
    assert parts([], BEGIN, 30.0) == ([], 0.0)


@given(st.lists(st.integers(0, BEGIN + 1500), max_size=60), st.floats(0.1, 30))
def test_parts_lie_within_the_window_and_invent_no_word(tokens: list[int], duration: float) -> None:
    found, heard = parts(tokens, BEGIN, duration)
    said = [token for part in found for token in part.tokens]
    rest = iter(token for token in tokens if token < BEGIN)
    assert all(token in rest for token in said), "nothing is said that was not heard, and in its order"
    assert all(0 <= part.start <= part.end <= duration for part in found)
    assert 0 <= heard <= duration


def test_what_is_said_after_the_end_is_invented() -> None:
    assert parts([at(0), 1, at(2.5), at(4), 2, at(5)], BEGIN, 3.0) == ([Part(0.0, 2.5, [1])], 3.0)


def test_what_was_cut_off_is_heard_again_from_the_last_part() -> None:
    tokens = [at(0), 1, at(2), at(2), 2]
    assert parts(tokens, BEGIN, 9.0, finished=False) == ([Part(0.0, 2.0, [1])], 2.0)
    assert parts([at(0), 1, 2], BEGIN, 9.0, finished=False) == ([Part(0.0, 9.0, [1, 2])], 9.0), "there is no end to go on from"

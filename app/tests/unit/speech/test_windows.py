import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hailo_whisper.speech.waveform import RATE
from hailo_whisper.speech.windows import Rules, Span, Window, cut

PLAIN = Rules(longest=30.0, longest_pause=2.0, pad=0.0)


def spans(*seconds: tuple[float, float]) -> list[Span]:
    return [Span(round(start * RATE), round(end * RATE)) for start, end in seconds]


def seconds(windows: list[Window]) -> list[tuple[float, float]]:
    return [(round(window.start / RATE, 3), round(window.end / RATE, 3)) for window in windows]


def test_offset_and_duration_are_in_seconds() -> None:
    window = Window(RATE, 3 * RATE)
    assert (window.offset, window.duration) == (1.0, 2.0)


def test_no_speech_has_no_windows() -> None:
    assert cut([], 100 * RATE, PLAIN) == []


def test_speech_with_short_pauses_shares_a_window() -> None:
    assert seconds(cut(spans((1, 4), (5, 9), (10.9, 12)), 20 * RATE, PLAIN)) == [(1, 12)]


def test_a_long_pause_ends_a_window() -> None:
    assert seconds(cut(spans((1, 4), (6.1, 9)), 20 * RATE, PLAIN)) == [(1, 4), (6.1, 9)]


def test_a_window_that_would_be_too_long_ends_at_the_longest_pause_of_its_later_half() -> None:
    speech = spans((0, 5), (6.9, 17), (17.2, 20), (20.8, 27), (27.1, 33))
    assert seconds(cut(speech, 40 * RATE, PLAIN)) == [(0, 20), (20.8, 33)]


def test_of_pauses_that_are_alike_the_latest_ends_it() -> None:
    speech = spans(*((at, at + 4.5) for at in range(0, 60, 5)))
    assert seconds(cut(speech, 60 * RATE, PLAIN)) == [(0, 29.5), (30, 59.5)]


def test_padding_is_kept_within_the_recording_and_never_twice() -> None:
    rules = Rules(longest=10.0, longest_pause=0.5, pad=0.4)
    assert seconds(cut(spans((0.1, 4), (4.6, 9), (10, 11.8)), 12 * RATE, rules)) == [(0, 4.3), (4.3, 9.4), (9.6, 12)]


def test_speech_without_a_pause_is_cut_where_it_must_be() -> None:
    assert seconds(cut(spans((0, 65)), 65 * RATE, PLAIN)) == [(0, 30), (30, 60), (60, 65)]


@given(
    st.lists(st.tuples(st.integers(0, 5 * RATE), st.integers(1, 40 * RATE)), max_size=40),
    st.integers(0, 3 * RATE),
    st.floats(2, 30),
    st.floats(0, 5),
    st.floats(0, 0.9),
)
def test_every_sample_of_speech_is_in_exactly_one_window(
    pairs: list[tuple[int, int]], tail: int, longest: float, pause: float, pad: float
) -> None:
    speech, at = [], 0
    for silence, talk in pairs:
        speech.append(Span(at + silence, at + silence + talk))
        at += silence + talk
    windows = cut(speech, at + tail, Rules(longest, pause, pad))
    assert all(0 < window.end - window.start <= longest * RATE for window in windows)
    assert all(one.end <= other.start for one, other in itertools.pairwise(windows))
    assert all(window.start >= 0 and window.end <= at + tail for window in windows)
    heard = sum(max(0, min(w.end, s.end) - max(w.start, s.start)) for w in windows for s in speech)
    assert heard == sum(span.end - span.start for span in speech)


@pytest.mark.parametrize("longest", [0.5, 30])
def test_a_window_has_at_least_one_sample(longest: float) -> None:
    assert cut([Span(0, 1)], 1, Rules(longest, 0, 0.4)) == [Window(0, 1)]

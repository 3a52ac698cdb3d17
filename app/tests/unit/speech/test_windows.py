import itertools

from hypothesis import given
from hypothesis import strategies as st

from hailo_whisper.speech.waveform import RATE
from hailo_whisper.speech.windows import Window, cut


def test_offset_and_duration_are_in_seconds() -> None:
    window = Window(RATE, 3 * RATE)
    assert (window.offset, window.duration) == (1.0, 2.0)


def test_an_engine_without_a_limit_gets_one_window() -> None:
    assert cut(1_000_000, None) == [Window(0, 1_000_000)]


def test_nothing_has_no_windows() -> None:
    assert cut(0, None) == []
    assert cut(0, 30.0) == []


@given(st.integers(1, 100_000_000), st.floats(1, 60))
def test_windows_cover_all_and_are_no_longer_than_the_limit(length: int, limit: float) -> None:
    windows = cut(length, limit)
    assert windows[0].start == 0
    assert windows[-1].end == length
    assert all(one.end == other.start for one, other in itertools.pairwise(windows))
    assert all(0 < window.duration <= limit for window in windows)

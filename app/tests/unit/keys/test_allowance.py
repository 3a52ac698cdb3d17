"""So many requests in any 60 seconds, and never more."""

from hypothesis import given
from hypothesis import strategies as st

from hailo_whisper.keys.allowance import WINDOW_SECONDS, Allowance


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_it_counts_down_and_says_when_there_is_room() -> None:
    clock = Clock()
    allowance = Allowance(clock)
    first = allowance.take("a", 2)
    assert (first.limit, first.remaining, first.reset, first.wait) == (2, 1, 60, None)
    clock.now += 10
    second = allowance.take("a", 2)
    assert (second.remaining, second.reset, second.wait) == (0, 60, None)
    clock.now += 5
    third = allowance.take("a", 2)
    assert (third.remaining, third.reset, third.wait) == (0, 55, 45)
    clock.now += 45
    assert allowance.take("a", 2).wait is None
    assert allowance.take("a", 2).wait == 10


def test_each_name_has_its_own() -> None:
    allowance = Allowance(Clock())
    assert allowance.take("a", 1).wait is None
    assert allowance.take("b", 1).wait is None
    assert allowance.take("a", 1).wait == 60


def test_a_lower_limit_holds_at_once_and_its_wait_is_true() -> None:
    clock = Clock()
    allowance = Allowance(clock)
    for _ in range(5):
        allowance.take("a", 5)
        clock.now += 1
    wait = allowance.take("a", 2).wait
    assert wait is not None
    # The fourth of the five must go.
    assert wait == 58
    clock.now += wait
    assert allowance.take("a", 2).wait is None


@given(st.integers(1, 5), st.lists(st.floats(0, 90), max_size=60))
def test_never_more_than_the_limit_in_any_window(limit: int, pauses: list[float]) -> None:
    clock = Clock()
    allowance = Allowance(clock)
    taken: list[float] = []
    for pause in pauses:
        clock.now += pause
        standing = allowance.take("a", limit)
        recent = [moment for moment in taken if moment > clock.now - WINDOW_SECONDS]
        assert (standing.wait is None) == (len(recent) < limit)
        if standing.wait is None:
            taken.append(clock.now)
        else:
            assert 0 < standing.wait <= WINDOW_SECONDS

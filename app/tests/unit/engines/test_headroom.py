"""Less is decoded together when memory runs out, and more again after a while."""

from collections.abc import Callable, Sequence
from itertools import count

import pytest

from hailo_whisper.engines.headroom import CALM, Headroom

SHORT = RuntimeError("out of memory")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def headroom(most: float = 100.0) -> tuple[Headroom, Clock]:
    clock = Clock()
    return Headroom(most, lambda error: error is SHORT, clock), clock


def holding(most: int, error: Exception = SHORT) -> tuple[Callable[[Sequence[int]], list[int]], list[int]]:
    """What does at most so many at once, and how many it did."""
    done: list[int] = []

    def do(pieces: Sequence[int]) -> list[int]:
        if len(pieces) > most:
            raise error
        done.append(len(pieces))
        return [piece * 10 for piece in pieces]

    return do, done


@pytest.mark.parametrize("most", [1, 2, 3, 7, 8])
def test_halves_are_in_order_and_complete(most: int) -> None:
    room, _ = headroom()
    do, done = holding(most)
    assert room.by_parts(range(8), lambda _: 10.0, do) == [piece * 10 for piece in range(8)]
    assert max(done) <= most


def test_after_it_half_is_the_most() -> None:
    room, _ = headroom()
    do, _ = holding(4)
    room.by_parts(range(8), lambda _: 10.0, do)
    assert (room.seconds, room.strain.times) == (40.0, 1)
    assert "40 s of sound at most" in (room.strain.sentence or "")


def test_one_that_does_not_fit_is_tried_twice_and_then_told() -> None:
    room, _ = headroom()
    tried = count()

    def never(_: Sequence[int]) -> list[int]:
        next(tried)
        raise SHORT

    with pytest.raises(RuntimeError, match="out of memory"):
        room.by_parts([1], lambda _: 10.0, never)
    assert next(tried) == 2


def test_other_errors_are_not_tried_again() -> None:
    room, _ = headroom()
    do, _ = holding(0, RuntimeError("an illegal memory access"))
    for pieces in ([1], [1, 2]):
        with pytest.raises(RuntimeError, match="illegal"):
            room.by_parts(pieces, lambda _: 10.0, do)
    assert room.strain.times == 0


def test_more_is_tried_again_after_a_while() -> None:
    room, clock = headroom()
    do, _ = holding(1)
    room.by_parts(range(8), lambda _: 10.0, do)
    least = room.seconds
    room.worked()
    assert room.seconds == least, "not at once"
    for _ in range(10):
        clock.now += CALM
        room.worked()
    assert room.seconds == 100.0, "no more than there was memory for"
    assert room.strain.sentence is None
    assert room.strain.times > 0, "what was stays counted"

"""The queue's promises, by simulation: a short command is next, nobody starves, one recording has one language."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hailo_whisper.engines.engine import Options
from hailo_whisper.scheduling.queue import AGEING, LIKE, Job, Limits, Piece, Queue
from hailo_whisper.speech.waveform import RATE
from hailo_whisper.speech.windows import Window

OPTIONS = Options("en", 5)
ROOMY = Limits(windows=8, seconds=1e9, speed=0.1)
ONE = Limits(windows=1, seconds=1e9, speed=0.1)


def job(*durations: float, now: float = 0.0, options: Options = OPTIONS) -> Job:
    windows, start = [], 0
    for duration in durations:
        windows.append(Window(start, start + round(duration * RATE)))
        start = windows[-1].end
    return Job(windows, options, now)


def queue(*jobs: Job) -> Queue:
    made = Queue()
    for each in jobs:
        made.put(each)
    return made


def taken(batch: list[Piece], names: dict[str, Job]) -> list[tuple[str, int]]:
    return [(next(name for name, each in names.items() if each is piece.job), piece.number) for piece in batch]


class TestExpress:
    def test_only_short_jobs_are_taken_and_the_others_keep_their_place(self) -> None:
        long, short = job(20, 20), job(2)
        waiting = queue(long, short)
        assert [piece.job for piece in waiting.take(ROOMY, 0, most=30.0)] == [short]
        assert waiting.take(ROOMY, 0, most=30.0) == []
        assert [piece.job for piece in waiting.take(ROOMY, 0)] == [long, long]

    def test_the_rest_of_a_long_job_is_none(self) -> None:
        long = job(20, 20)
        waiting = queue(long)
        waiting.take(ONE, 0)
        assert waiting.take(ROOMY, 0, most=30.0) == []


class TestOrder:
    def test_the_shortest_goes_first(self) -> None:
        long, short = job(20, 20), job(2)
        assert [piece.job for piece in queue(long, short).take(ONE, 0)] == [short]

    def test_what_remains_counts_and_not_what_was(self) -> None:
        nearly_done, other = job(20, 20, 3), job(10)
        waiting = queue(nearly_done)
        waiting.take(Limits(2, 1e9, 0.1), 0)
        waiting.put(other)
        assert [piece.job for piece in waiting.take(ONE, 0)] == [nearly_done]

    def test_equals_are_served_in_the_order_in_which_they_came(self) -> None:
        first, second = job(2, now=1), job(2, now=2)
        assert [piece.job for piece in queue(second, first).take(ONE, 3)] == [first]

    @given(st.integers(1, 50), st.floats(0.05, 20))
    def test_a_command_that_comes_while_an_hour_is_transcribed_is_in_the_very_next_batch(self, batches: int, took: float) -> None:
        hour = job(*[15.0] * 240)
        waiting = queue(hour)
        now = 0.0
        for _ in range(batches):
            (piece,) = waiting.take(ONE, now)
            now += took
            piece.job.done("en", now)
            command = job(2, now=now - took / 2)
            waiting.put(command)
            assert [piece.job for piece in waiting.take(ONE, now)] == [command]

    def test_an_hour_moves_under_a_steady_stream_of_commands(self) -> None:
        """Every batch takes a quarter of a second, and another command is there each time."""
        hour = job(*[30.0] * 120)
        waiting = queue(hour)
        now, turns = 0.0, []
        while hour.waiting:
            waiting.put(job(2, now=now))
            (piece,) = waiting.take(ONE, now)
            now += 0.25
            piece.job.done("en", now)
            if piece.job is hour:
                turns.append(now)
        pauses = [after - before for before, after in zip([0.0, *turns], turns, strict=False)]
        assert max(pauses) <= 3600 / AGEING + 0.5
        assert now < 4 * 3600, "and is done by its deadline"

    @given(st.lists(st.tuples(st.floats(0, 100), st.lists(st.floats(0.5, 30), min_size=1, max_size=8)), min_size=1, max_size=12))
    def test_nobody_starves(self, arrivals: list[tuple[float, list[float]]]) -> None:
        """However jobs come, each is served within the time that its length and those before it explain."""
        pending = sorted(arrivals)
        waiting, now, took = Queue(), 0.0, 1.0
        late: dict[Job, float] = {}
        while pending or waiting:
            while pending and pending[0][0] <= now:
                arrived, durations = pending.pop(0)
                waiting.put(job(*durations, now=arrived))
            if waiting:
                before = {each: each.since for each in waiting}
                (piece,) = waiting.take(ONE, now)
                late[piece.job] = max(late.get(piece.job, 0), now - before[piece.job])
                piece.job.done("en", now + took)
            now += took
        assert len(late) == len(arrivals), "all were served"
        for each, wait in late.items():
            longest = sum(window.duration for window in each.windows) / AGEING
            # One turn of each job that was there before it came of age, and the batch that was under way.
            assert wait <= longest + took * (len(arrivals) * 9 + 1)

    def test_a_command_waits_no_longer_for_those_that_come_after_it(self) -> None:
        command = job(10, now=0)
        waiting = queue(command)
        now = 10 / AGEING + 0.01
        waiting.put(job(0.5, now=now))
        assert [piece.job for piece in waiting.take(ONE, now)] == [command]


class TestBatch:
    def test_it_is_made_across_requests_in_the_order_of_ranks(self) -> None:
        a, b, c = job(8, 8, 8), job(9), job(7)
        batch = queue(a, b, c).take(Limits(4, 1e9, 0.1), 0)
        assert taken(batch, {"a": a, "b": b, "c": c}) == [("c", 0), ("b", 0), ("a", 0), ("a", 1)]

    def test_options_must_be_equal(self) -> None:
        a, b, c = job(5), job(6, options=Options("de", 5)), job(7)
        batch = queue(a, b, c).take(ROOMY, 0)
        assert [piece.job for piece in batch] == [a, c]

    def test_it_has_so_many_windows_at_most(self) -> None:
        waiting = queue(job(*[5.0] * 10))
        sizes = [len(waiting.take(Limits(4, 1e9, 0.1), 0)) for _ in range(3)]
        assert sizes == [4, 4, 2]
        assert not waiting

    def test_it_takes_so_long_at_most(self) -> None:
        waiting = queue(job(*[10.0] * 6))
        assert [piece.number for piece in waiting.take(Limits(8, 2.5, 0.1), 0)] == [0, 1]

    def test_one_window_is_taken_whatever_it_costs(self) -> None:
        assert len(queue(job(30, 30)).take(Limits(8, 0.001, 10), 0)) == 1
        assert len(queue(job(30)).take(Limits(0, 1, 1), 0)) == 1

    def test_unlike_lengths_are_not_padded_to_each_other(self) -> None:
        waiting = queue(job(28, 3, 27, 2, 15))
        assert [piece.number for piece in waiting.take(ROOMY, 0)] == [0, 2, 4]
        assert [piece.number for piece in waiting.take(ROOMY, 0)] == [1, 3]

    def test_what_is_shorter_than_the_engine_cares_for_is_alike(self) -> None:
        assert len(queue(job(1, 4, 0.5)).take(Limits(8, 1e9, 0.1, floor=5), 0)) == 3
        assert len(queue(job(1, 4, 0.5)).take(Limits(8, 1.2, 0.1, floor=5), 0)) == 2, "and costs the same"

    def test_nothing_is_taken_from_an_empty_queue(self) -> None:
        assert Queue().take(ROOMY, 0) == []

    @given(
        st.lists(st.lists(st.floats(0.2, 30), min_size=1, max_size=9), min_size=1, max_size=6),
        st.integers(1, 8),
        st.floats(0.1, 10),
        st.sampled_from([0.0, 5.0]),
    )
    def test_every_window_is_taken_once_and_every_batch_keeps_the_limits(
        self, jobs: list[list[float]], windows: int, seconds: float, floor: float
    ) -> None:
        limits = Limits(windows, seconds, 0.1, floor)
        made = [job(*durations) for durations in jobs]
        waiting = queue(*made)
        seen: list[tuple[int, int]] = []
        while waiting:
            assert waiting.windows == sum(each.waiting for each in made)
            assert waiting.seconds == pytest.approx(sum(each.remaining for each in made))
            batch = waiting.take(limits, 0)
            costs = [max(piece.window.duration, floor) * 0.1 for piece in batch]
            assert 1 <= len(batch) <= windows
            assert len(batch) == 1 or sum(costs) <= seconds + 1e-9
            assert all(costs[0] / LIKE - 1e-9 <= cost <= costs[0] * LIKE + 1e-9 for cost in costs)
            seen += [(made.index(piece.job), piece.number) for piece in batch]
        assert sorted(seen) == [(i, k) for i, durations in enumerate(jobs) for k in range(len(durations))]
        assert waiting.windows == 0
        assert waiting.seconds == 0


class TestLanguage:
    DETECT = Options(None, 5)

    def test_the_longest_of_the_first_windows_tells_it_for_all(self) -> None:
        recording = job(2, 9, 3, 28, options=self.DETECT)
        waiting = queue(recording)
        assert [piece.number for piece in waiting.take(ROOMY, 0)] == [1]
        assert waiting.take(ROOMY, 0) == [], "the rest waits for the language"
        recording.done("fr", 1)
        assert recording.options == Options("fr", 5)
        assert [piece.number for piece in waiting.take(ROOMY, 0)] == [0, 2]

    def test_a_window_without_speech_does_not_tell_it(self) -> None:
        recording = job(9, 4, 3, options=self.DETECT)
        waiting = queue(recording)
        waiting.take(ROOMY, 0)
        recording.done(None, 1)
        assert [piece.number for piece in waiting.take(ROOMY, 0)] == [1]

    def test_others_do_not_wait_for_it(self) -> None:
        recording, command = job(9, 4, options=self.DETECT), job(20)
        waiting = queue(recording, command)
        waiting.take(ONE, 0)
        assert [piece.job for piece in waiting.take(ONE, 0)] == [command]

    def test_commands_of_unknown_language_share_a_batch(self) -> None:
        assert len(queue(job(2, options=self.DETECT), job(3, options=self.DETECT)).take(ROOMY, 0)) == 2


class TestLoss:
    def test_windows_go_back_to_their_place(self) -> None:
        recording = job(*[5.0] * 4)
        waiting = queue(recording)
        batch = waiting.take(Limits(2, 1e9, 0.1), 0)
        waiting.take(Limits(1, 1e9, 0.1), 0)
        waiting.give_back(batch)
        assert [piece.number for piece in waiting.take(ROOMY, 0)] == [0, 1, 3]

    def test_a_job_that_has_nothing_waiting_comes_back(self) -> None:
        command = job(2)
        waiting = queue(command)
        batch = waiting.take(ROOMY, 0)
        assert not waiting
        waiting.give_back(batch)
        assert waiting.take(ROOMY, 0) == batch

    def test_a_suspect_shares_no_batch(self) -> None:
        a, suspect, b = job(2), job(3, 3), job(4)
        suspect.alone = True
        waiting = queue(a, suspect, b)
        assert [piece.job for piece in waiting.take(ROOMY, 0)] == [a, b]
        assert [piece.job for piece in waiting.take(ROOMY, 0)] == [suspect, suspect]

    def test_a_suspect_shares_the_engine_with_no_other_batch(self) -> None:
        suspect, later = job(3), job(9)
        suspect.alone = True
        waiting = queue(suspect, later)
        assert waiting.take(ONE, 0, busy=True) == [], "and is not overtaken for ever"
        assert [piece.job for piece in waiting.take(ONE, 0)] == [suspect]
        assert [piece.job for piece in waiting.take(ONE, 0, busy=True)] == [later]

    def test_what_is_dropped_is_never_taken(self) -> None:
        gone, other = job(2, 2, 2), job(9)
        waiting = queue(gone, other)
        batch = waiting.take(ONE, 0)
        waiting.drop(gone)
        waiting.give_back(batch)
        assert waiting.windows == 1
        assert [piece.job for piece in waiting.take(ROOMY, 0)] == [other]
        assert not waiting

"""The queue: the windows of all requests, and which of them the engine is given next.

Pure: it has no clock (whoever asks says what time it is) and knows no process. The rule is shortest remaining work first, with
ageing. A job's rank is the sound that it still has to go, less AGEING seconds for each second since it last had a turn; the
least rank is served first. So a short command that comes while a long recording is transcribed is in the very next batch, and a
long recording still moves under a steady stream of short commands: one of an hour gets a turn at least once a minute.

A batch begins with the next window of the job that ranks first, and is filled, in the order of ranks, with windows of the same
options and about the same length: within a batch all are padded to the longest, so unlike lengths waste the engine's time.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ..engines.engine import Options
from ..speech.waveform import RATE
from ..speech.windows import Window

AGEING = 60.0
"""Seconds of sound that a second without a turn weighs up. A job of n seconds has its turn after n / AGEING seconds at the latest,
and after one batch of each job that was there before."""
LIKE = 2.0
"""Windows share a batch when none is longer than this many times the first one, nor shorter than the first by as much."""
LISTEN = 3
"""A recording's language is told by the longest of so many first windows: a short one, often a mere greeting, tells it badly."""


@dataclass(frozen=True)
class Limits:
    """How large a batch may be."""

    windows: int
    """Most windows, for the memory of the engine."""
    seconds: float
    """Time that the batch is to take at most, as far as it can be told; one window is taken whatever it costs."""
    speed: float
    """Seconds of the engine for one second of sound, as measured."""
    floor: float = 0.0
    """Seconds of sound: shorter windows cost the engine as much as one of these."""


class Job:
    """The windows of one request, and what is known about them. `now` is the time of its arrival, on the caller's clock."""

    def __init__(self, windows: Sequence[Window], options: Options, now: float) -> None:
        self.windows = tuple(windows)
        self.options = options
        self.arrived = now
        self.since = now
        """When its last turn ended, or else when it arrived."""
        self.alone = False
        """Whether its windows share no batch, because one that they were in was lost."""
        self.dropped = False
        self._waiting = list(range(len(self.windows)))
        self._samples = sum(window.end - window.start for window in self.windows)
        self.seconds = self._samples / RATE
        """Sound in all of its windows."""
        self._away = 0

    @property
    def remaining(self) -> float:
        """Seconds of sound that wait."""
        return self._samples / RATE

    @property
    def waiting(self) -> int:
        """How many windows wait."""
        return len(self._waiting)

    @property
    def rank(self) -> float:
        """The least is served first. Time makes all of them age alike, so it need not be known to compare them."""
        return self.remaining + AGEING * self.since

    def offered(self) -> list[int]:
        """The numbers of the windows that may be taken now, in order of time.

        A recording whose language is not known offers one window until a result has told it, so that it has one language.
        """
        if self.options.language is None and len(self.windows) > 1:
            return [] if self._away else [max(self._waiting[:LISTEN], key=lambda number: self.windows[number].duration)]
        return self._waiting

    def take(self, number: int, now: float) -> None:
        """A window goes to the engine."""
        self._waiting.remove(number)
        self._samples -= self.windows[number].end - self.windows[number].start
        self._away += 1
        self.since = now

    def give_back(self, number: int) -> None:
        """A window was not transcribed after all, and waits again in its place."""
        self._away -= 1
        self._samples += self.windows[number].end - self.windows[number].start
        self._waiting = sorted([*self._waiting, number])

    def done(self, language: str | None, now: float) -> None:
        """A window was transcribed. `language` is what was heard in it, or None where nobody spoke."""
        self._away -= 1
        self.since = now
        if self.options.language is None and language:
            self.options = replace(self.options, language=language)


@dataclass(frozen=True)
class Piece:
    """One window of a batch."""

    job: Job
    number: int

    @property
    def window(self) -> Window:
        """The window itself."""
        return self.job.windows[self.number]


class Queue:
    """The jobs that have windows waiting."""

    def __init__(self) -> None:
        self._jobs: dict[Job, None] = {}

    def __iter__(self) -> Iterator[Job]:
        return iter([*self._jobs])

    def __bool__(self) -> bool:
        return bool(self._jobs)

    @property
    def windows(self) -> int:
        """How many windows wait."""
        return sum(job.waiting for job in self._jobs)

    @property
    def seconds(self) -> float:
        """How many seconds of sound wait."""
        return sum(job.remaining for job in self._jobs)

    def work(self, floor: float) -> float:
        """The same, where each window counts as `floor` seconds at least."""
        return sum(max(job.remaining, floor * job.waiting) for job in self._jobs)

    def put(self, job: Job) -> None:
        """Add a job with at least one window."""
        self._jobs[job] = None

    def drop(self, job: Job) -> None:
        """Forget a job: what waits of it never reaches the engine, and what was taken does not come back."""
        job.dropped = True
        self._jobs.pop(job, None)

    def take(self, limits: Limits, now: float, *, busy: bool = False, most: float = math.inf) -> list[Piece]:
        """The next batch, of at least one window; empty when no job offers any. All have equal options.

        A job whose windows share no batch shares the engine with none either: with `busy`, which says that other batches are
        under way, it waits, and so does all that ranks after it. `most` leaves out jobs of more seconds of sound.
        """
        batch: list[Piece] = []
        spent = 0.0
        ranked = sorted((job for job in self._jobs if job.seconds <= most and job.offered()), key=lambda job: job.rank)
        if busy and ranked and ranked[0].alone:
            return []
        for job in ranked:
            if batch and not _may_join(job, batch[0].job):
                continue
            for number in [*job.offered()]:
                piece = Piece(job, number)
                cost = _cost(piece, limits)
                if batch and not (spent + cost <= limits.seconds and _alike(cost, _cost(batch[0], limits))):
                    continue
                if len(batch) == max(limits.windows, 1):
                    break
                batch.append(piece)
                spent += cost
        for piece in batch:
            piece.job.take(piece.number, now)
            if not piece.job.waiting:
                self._jobs.pop(piece.job, None)
        return batch

    def give_back(self, batch: Sequence[Piece]) -> None:
        """Windows of a batch that was lost wait again, unless their job was dropped meanwhile."""
        for piece in batch:
            piece.job.give_back(piece.number)
            if not piece.job.dropped:
                self._jobs[piece.job] = None


def _cost(piece: Piece, limits: Limits) -> float:
    """Seconds that the engine is expected to take for a window."""
    return max(piece.window.duration, limits.floor) * limits.speed


def _alike(one: float, other: float) -> bool:
    return max(one, other) <= LIKE * min(one, other)


def _may_join(job: Job, first: Job) -> bool:
    return job is first or (job.options == first.options and not job.alone and not first.alone)

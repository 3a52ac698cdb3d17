"""The scheduler: requests put their windows in, one task takes batches out and hands them to the worker.

A request whose client goes away, or whose deadline passes, takes its windows out of the queue at once; one that is with the
engine at that moment is finished there and thrown away.
"""

import asyncio
import contextlib
import logging
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

from ..engines.engine import Capabilities, Options
from ..engines.failures import DeadlineExceeded, EngineFailed, Unavailable, WorkerLost
from ..engines.handle import Item
from ..engines.status import State
from ..engines.supervisor import Supervisor
from ..service.log import note
from ..service.metrics import Metrics
from ..settings import Settings
from ..speech.transcript import WindowResult
from ..speech.waveform import Waveform
from ..speech.windows import Window
from .admission import Admission, Overloaded, check
from .queue import Job, Limits, Piece, Queue
from .speed import Speed
from .tickets import Flight, Heard, Ticket

log = logging.getLogger(__name__)

START_SECONDS = 30.0
"""That a request waits for a worker that is on its way."""
GRACE = 15.0
"""Seconds that a step may be late before the watchdog is told no more: each has a deadline of its own."""


EXPRESS_SECONDS = 30.0
"""Sound of a request that may take the engine's express, while longer ones have every lane."""


class Scheduler:
    """Transcribes for many requests on one worker. `run` is its task."""

    def __init__(self, supervisor: Supervisor, settings: Settings, metrics: Metrics) -> None:
        self._supervisor = supervisor
        self._settings = settings
        self._metrics = metrics
        self._admission = Admission()
        self._queue = Queue()
        self._tickets: dict[Job, Ticket] = {}
        self._flights: set[Flight] = set()
        self._speed = Speed()
        self._some = asyncio.Event()
        self._due: float | None = None
        # Since when the worker is not there, as far as somebody waits for it.
        self._down: float | None = None
        self.start_seconds = START_SECONDS
        self.elsewhere: Callable[[], float] = lambda: 0.0
        """Seconds of sound that the queues of other models hold: the limits are of all together."""

    @property
    def seconds(self) -> float:
        """Seconds of sound that wait or are transcribed."""
        return self._queue.seconds + sum(flight.seconds for flight in self._flights)

    @property
    def queued(self) -> float:
        """The same, or 0 when nothing waits."""
        return self.seconds if self._queue else 0.0

    @property
    def waiting(self) -> int:
        """How many windows wait."""
        return self._queue.windows

    @property
    def requests(self) -> int:
        """How many requests are being served."""
        return self._admission.requests

    @property
    def _lanes(self) -> int:
        return self._supervisor.capabilities.lanes if self._supervisor.capabilities else 1

    @property
    def _express(self) -> bool:
        return self._supervisor.capabilities is not None and self._supervisor.capabilities.express

    @property
    def _full(self) -> bool:
        """Whether every lane is busy."""
        return sum(not flight.express for flight in self._flights) >= self._lanes

    @property
    def _pace(self) -> float:
        """Seconds for one second of sound that is there now, all lanes together; short windows cost as much as longer ones."""
        floor = self._limits().floor
        work = self._queue.work(floor) + sum(max(p.window.duration, floor) for flight in self._flights for p in flight.batch)
        return self._speed.factor / self._lanes * (work / self.seconds if self.seconds else 1.0)

    @property
    def answering(self) -> bool:
        """Whether it makes progress: each of its steps is over by a time that is known before."""
        dues = [flight.due for flight in self._flights] + ([] if self._due is None else [self._due])
        return not dues or time.monotonic() < min(dues)

    def configure(self, settings: Settings) -> None:
        """Take new settings, for the requests and batches to come."""
        self._settings = settings

    def place(self) -> AbstractContextManager[None]:
        """A request's place, from its first byte to the end of its reply. Entering raises Overloaded when there are too many."""
        return self._counted(self._admission.place(self._settings.limits.requests, self.seconds + self.elsewhere(), self._pace))

    async def capabilities(self) -> Capabilities:
        """What the engine can do; waits for the first worker. Raises Unavailable."""
        try:
            while self._supervisor.capabilities is None:
                await self._supervisor.ready(self.start_seconds)
            return self._supervisor.capabilities
        finally:
            self._rest()

    async def transcribe(
        self, waveform: Waveform, windows: Sequence[Window], options: Options, heard: Heard | None = None
    ) -> list[WindowResult]:
        """Transcribe windows of a waveform, of which there is at least one; the results are in their order.

        Cancelling it drops its windows. Raises Overloaded, Unavailable, EngineFailed, DeadlineExceeded.
        """
        limits = self._settings.limits
        with self._counting():
            queued = self.queued + self.elsewhere()
            check(sum(window.duration for window in windows), limits.queued_seconds, queued, self._pace)
        self._metrics.admitted(waveform.duration)
        deadline = limits.deadline_seconds + limits.deadline_factor * waveform.duration
        job = Job(windows, options, time.monotonic())
        ticket = Ticket(waveform, [None] * len(windows), asyncio.get_running_loop().create_future(), heard)
        self._tickets[job] = ticket
        self._queue.put(job)
        self._some.set()
        self._report()
        try:
            async with asyncio.timeout(deadline):
                return await ticket.future
        except TimeoutError:
            waited = time.monotonic() - job.arrived if ticket.waited is None else ticket.waited
            spent = f" (it waited {waited:.0f} of them in the queue)" if waited >= 1 else ""
            raise DeadlineExceeded(
                f"The transcription did not finish within its deadline of {deadline:.0f} seconds{spent} and was stopped. "
                "Send a shorter recording, or raise limits.deadline_seconds or limits.deadline_factor."
            ) from None
        finally:
            self._queue.drop(job)
            del self._tickets[job]
            self._report()
            facts = {"wait_seconds": ticket.waited, "engine_seconds": ticket.engine, "windows": len(windows)}
            note(**{name: value for name, value in facts.items() if value is not None})

    def stop(self) -> None:
        """Give up what is still under way, because the server has to go."""
        for job in [*self._tickets]:
            self._fail(job, Unavailable("The server is shutting down. Send it again in a moment.", 5))

    async def run(self) -> None:
        """Feed the worker, until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._some.wait()
                try:
                    batch = await self._next()
                # Whatever it is costs these requests alone: nobody else feeds the worker.
                except Exception as error:
                    log.exception("a batch could not be made")
                    for job in self._queue:
                        self._fail(job, error)
                    batch = []
                self._due = None
                if batch:
                    seconds = sum(piece.window.duration for piece in batch)
                    due = time.monotonic() + self._supervisor.deadline(seconds) + self.start_seconds + GRACE
                    flight = Flight(batch, due, alone=batch[0].job.alone, express=self._full)
                    self._flights.add(flight)
                    group.create_task(self._fly(flight))
                if (self._flights and not batch) or not self._queue:
                    # Until a batch comes back, or a job comes in.
                    self._some.clear()
                self._rest()

    async def _next(self) -> list[Piece]:
        """Wait for the worker, and take a batch for it; empty when there is none, or no lane for it."""
        if not self._queue:
            # Whoever came has gone again, and a model is not loaded for nobody.
            return []
        now = time.monotonic()
        if self._down is None:
            self._down = now
        # A job's patience is with the worker; what it waited for others does not count.
        since = {job: max(job.since, self._down) for job in self._queue}
        patience = max(min(since.values()) + self.start_seconds - now, 0.01)
        self._due = now + patience + GRACE
        try:
            await self._supervisor.ready(patience)
        except Unavailable as error:
            for job in self._queue:
                late = job in since and since[job] <= now + patience - self.start_seconds
                if late or self._supervisor.state in (State.FAILED, State.CLOSED):
                    self._fail(job, error)
            # Those that came meanwhile wait on.
            return []
        self._down = None
        if any(flight.alone for flight in self._flights):
            return []
        most = math.inf
        if self._full:
            if not self._express or any(flight.express for flight in self._flights):
                return []
            most = EXPRESS_SECONDS
        return self._queue.take(self._limits(), time.monotonic(), busy=bool(self._flights), most=most)

    async def _fly(self, flight: Flight) -> None:
        """Have the worker transcribe one batch."""
        try:
            await self._transcribe(flight)
        # As above: these requests, and no others.
        except Exception as error:
            log.exception("a batch could not be transcribed")
            for piece in flight.batch:
                self._fail(piece.job, error)
        finally:
            self._flights.discard(flight)
            if self._queue:
                self._some.set()
            self._report()
            self._rest()

    async def _transcribe(self, flight: Flight) -> None:
        # Since the batch was taken, a client may have gone away.
        batch = [piece for piece in flight.batch if piece.job in self._tickets]
        if not batch:
            return
        for job in dict.fromkeys(piece.job for piece in batch):
            ticket = self._tickets[job]
            if ticket.waited is None:
                ticket.waited = time.monotonic() - job.arrived
                self._metrics.waited(ticket.waited)
        self._report()
        began = time.monotonic()
        try:
            with self._sound(batch) as items:
                results = await self._supervisor.transcribe(items, batch[0].job.options)
        except Unavailable:
            self._queue.give_back(batch)
        except EngineFailed as error:
            self._lost(batch, error, alone=flight.alone)
        else:
            self._done(batch, results, time.monotonic() - began, alone=flight.alone)

    @contextlib.contextmanager
    def _sound(self, batch: Sequence[Piece]) -> Iterator[list[Item]]:
        """The batch with descriptors of its own: a request that ends before its batch does closes the ones that it brought."""
        with contextlib.ExitStack() as stack:
            own: dict[Job, Waveform] = {}
            for job in dict.fromkeys(piece.job for piece in batch):
                waveform = self._tickets[job].waveform
                own[job] = stack.enter_context(Waveform(os.dup(waveform.fd), waveform.length))
            yield [Item(own[piece.job], piece.window) for piece in batch]

    def _done(self, batch: Sequence[Piece], results: Sequence[WindowResult], seconds: float, *, alone: bool) -> None:
        now, floor = time.monotonic(), self._limits().floor
        self._speed.measured(sum(max(piece.window.duration, floor) for piece in batch), seconds)
        self._metrics.batch(len(batch), sum(piece.window.duration for piece in batch), seconds)
        self._metrics.fallback(sum(result.fallbacks for result in results))
        for job in {piece.job for piece in batch} & self._tickets.keys():
            self._tickets[job].engine += seconds
        for piece, result in zip(batch, results, strict=True):
            piece.job.done(result.language if result.segments else None, now)
            # A batch that was under way before another of the same job was lost clears it of nothing.
            piece.job.alone &= not alone
            if ticket := self._tickets.get(piece.job):
                ticket.take(piece.number, result)

    def _lost(self, batch: Sequence[Piece], error: EngineFailed, *, alone: bool) -> None:
        """Nobody knows which request was the cause, so each is tried once more by itself; one that was by itself has failed.

        Except that a worker that died may have been killed by something else: then the next one gets the same again.
        """
        jobs = [*dict.fromkeys(piece.job for piece in batch)]
        again = len(jobs) > 1 or (isinstance(error, WorkerLost) and not alone)
        self._queue.give_back(batch)
        for job in jobs:
            if again:
                log.warning("a batch was lost, and what it held is tried once more: %s", error)
                job.alone = True
            else:
                self._fail(job, _final(error))

    def _fail(self, job: Job, error: Exception) -> None:
        self._queue.drop(job)
        if ticket := self._tickets.get(job):
            ticket.fail(error)

    def _limits(self) -> Limits:
        model, windows = self._settings.model, self._settings.windows
        capabilities = self._supervisor.capabilities
        return Limits(
            windows=model.batch or (capabilities.batch if capabilities else 1),
            seconds=model.batch_target_seconds,
            speed=self._speed.factor,
            floor=max(windows.least_seconds - windows.margin_seconds, 0.0),
        )

    def _rest(self) -> None:
        if not self._queue and not self._flights:
            self._supervisor.rest()

    @contextlib.contextmanager
    def _counted(self, place: AbstractContextManager[None]) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            with self._counting():
                stack.enter_context(place)
            yield

    @contextlib.contextmanager
    def _counting(self) -> Iterator[None]:
        try:
            yield
        except Overloaded as error:
            self._metrics.refused(error.reason)
            raise

    def _report(self) -> None:
        self._metrics.queue(self._supervisor.model, len(self._tickets), self._queue.windows, self._queue.seconds)


def _final(error: EngineFailed) -> EngineFailed:
    """What the client is told when there is no further attempt."""
    if isinstance(error, WorkerLost):
        return EngineFailed(
            f"The engine's process died over this recording ({error}), which was tried twice. Send another form of it."
        )
    if isinstance(error, DeadlineExceeded):
        return error
    return EngineFailed(f"{error} Send it again; if that fails too, the server's journal says more.")

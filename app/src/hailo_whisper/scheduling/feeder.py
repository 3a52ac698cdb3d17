"""The side of the worker: takes batches out of the queue and hands them to it, as many at a time as it has lanes."""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Iterator, Sequence

from ..engines.failures import DeadlineExceeded, DeviceLost, EngineFailed, NoRoom, Starved, Unavailable, WorkerLost
from ..engines.handle import Item
from ..engines.status import State
from ..engines.supervisor import Supervisor
from ..service.metrics import Metrics
from ..speech.transcript import WindowResult
from ..speech.waveform import Waveform
from .queue import Job, Piece
from .tickets import Flight
from .work import Work

log = logging.getLogger(__name__)

START_SECONDS = 30.0
"""That a request waits for a worker that is on its way."""
GRACE = 15.0
"""Seconds that a step may be late before the watchdog is told no more: each has a deadline of its own."""


class Feeder:
    """Feeds the worker. `run` is its task; nobody else hands anything to the worker."""

    def __init__(self, work: Work, supervisor: Supervisor, metrics: Metrics) -> None:
        self._work = work
        self._supervisor = supervisor
        self._metrics = metrics
        self._some = asyncio.Event()
        self._due: float | None = None
        # Since when the worker is not there, as far as somebody waits for it.
        self._down: float | None = None
        self.start_seconds = START_SECONDS

    @property
    def answering(self) -> bool:
        """Whether it makes progress: each of its steps is over by a time that is known before."""
        dues = [flight.due for flight in self._work.flights] + ([] if self._due is None else [self._due])
        return not dues or time.monotonic() < min(dues)

    def wake(self) -> None:
        """There is something in the queue."""
        self._some.set()

    async def run(self) -> None:
        """Feed the worker, until cancelled."""
        work = self._work
        async with asyncio.TaskGroup() as group:
            while True:
                await self._some.wait()
                try:
                    batch = await self._next()
                # Whatever it is costs these requests alone: nobody else feeds the worker.
                except Exception as error:
                    log.exception("a batch could not be made")
                    for job in work.queue:
                        work.fail(job, error)
                    batch = []
                self._due = None
                if batch:
                    seconds = sum(piece.window.duration for piece in batch)
                    due = time.monotonic() + self._supervisor.deadline(seconds) + self.start_seconds + GRACE
                    flight = Flight(batch, due, alone=batch[0].job.alone, express=work.full)
                    work.flights.add(flight)
                    group.create_task(self._fly(flight))
                if (work.flights and not batch) or not work.queue:
                    # Until a batch comes back, or a job comes in.
                    self._some.clear()
                work.rest()

    async def _next(self) -> list[Piece]:
        """Wait for the worker, and take a batch for it; empty when there is none, or no lane for it."""
        queue = self._work.queue
        if not queue:
            # Whoever came has gone again, and a model is not loaded for nobody.
            return []
        now = time.monotonic()
        if self._down is None:
            self._down = now
        # A job's patience is with the worker; what it waited for others does not count.
        since = {job: max(job.since, self._down) for job in queue}
        patience = max(min(since.values()) + self.start_seconds - now, 0.01)
        self._due = now + patience + GRACE
        try:
            await self._supervisor.ready(patience)
        except Unavailable as error:
            for job in queue:
                late = job in since and since[job] <= now + patience - self.start_seconds
                if late or self._supervisor.state in (State.FAILED, State.CLOSED):
                    self._work.fail(job, error)
            # Those that came meanwhile wait on.
            return []
        self._down = None
        self._work.fail_unfit()
        return self._work.take()

    async def _fly(self, flight: Flight) -> None:
        """Have the worker transcribe one batch."""
        work = self._work
        try:
            await self._transcribe(flight)
        # As above: these requests, and no others.
        except Exception as error:
            log.exception("a batch could not be transcribed")
            for piece in flight.batch:
                work.fail(piece.job, error)
        finally:
            work.flights.discard(flight)
            if work.queue:
                self._some.set()
            work.report()
            work.rest()

    async def _transcribe(self, flight: Flight) -> None:
        work = self._work
        # Since the batch was taken, a client may have gone away.
        batch = [piece for piece in flight.batch if piece.job in work.tickets]
        if not batch:
            return
        for job in dict.fromkeys(piece.job for piece in batch):
            ticket = work.tickets[job]
            if ticket.waited is None:
                ticket.waited = time.monotonic() - job.arrived
                self._metrics.waited(ticket.waited)
        work.report()
        began = time.monotonic()
        try:
            with self._sound(batch) as items:
                results = await self._supervisor.transcribe(items, batch[0].job.options)
        except Unavailable:
            work.queue.give_back(batch)
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
                waveform = self._work.tickets[job].waveform
                own[job] = stack.enter_context(Waveform(os.dup(waveform.fd), waveform.length))
            yield [Item(own[piece.job], piece.window) for piece in batch]

    def _done(self, batch: Sequence[Piece], results: Sequence[WindowResult], seconds: float, *, alone: bool) -> None:
        now, tickets = time.monotonic(), self._work.tickets
        self._work.measured(batch, seconds)
        self._metrics.batch(len(batch), sum(piece.window.duration for piece in batch), seconds)
        self._metrics.fallback(sum(result.fallbacks for result in results))
        for job in {piece.job for piece in batch} & tickets.keys():
            tickets[job].engine += seconds
        for piece, result in zip(batch, results, strict=True):
            piece.job.done(result.language if result.segments else None, now)
            # A batch that was under way before another of the same job was lost clears it of nothing.
            piece.job.alone &= not alone
            if ticket := tickets.get(piece.job):
                ticket.take(piece.number, result)

    def _lost(self, batch: Sequence[Piece], error: EngineFailed, *, alone: bool) -> None:
        """Nobody knows which request was the cause, so each is tried once more by itself; one that was by itself has failed.

        Except that a worker that died may have been killed by something else: then the next one gets the same again. And where memory
        was short, other batches may have had it.
        """
        jobs = [*dict.fromkeys(piece.job for piece in batch)]
        again = len(jobs) > 1 or (isinstance(error, WorkerLost | NoRoom) and not alone)
        self._work.queue.give_back(batch)
        for job in jobs:
            if again:
                log.warning("a batch was lost, and what it held is tried once more: %s", error)
                job.alone = True
            else:
                self._work.fail(job, _final(error))


def _final(error: EngineFailed) -> Exception:
    """What the client is told when there is no further attempt."""
    if isinstance(error, DeviceLost):
        return Unavailable(
            f"The device failed twice while it transcribed this, which is hardly the fault of the recording: {error} Send it again in a moment.",
            10,
        )
    if isinstance(error, NoRoom):
        return Unavailable(
            f"There is no memory for this now, not even for one window at a time: {error} Send it again in a moment.", 10
        )
    if isinstance(error, Starved):
        return Unavailable(
            f"There is too little memory for this now: {error}, twice. Send it again in a moment, or in shorter parts.", 10
        )
    if isinstance(error, WorkerLost):
        return EngineFailed(
            f"The engine's process died over this recording ({error}), which was tried twice. Send another form of it."
        )
    if isinstance(error, DeadlineExceeded):
        return error
    return EngineFailed(f"{error} Send it again; if that fails too, the server's journal says more.")

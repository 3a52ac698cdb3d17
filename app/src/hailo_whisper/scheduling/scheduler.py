"""The scheduler: requests put their windows in, one task takes batches out and hands them to the worker (`feeder`).

A request whose client goes away, or whose deadline passes, takes its windows out of the queue at once; one that is with the
engine at that moment is finished there and thrown away.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager

from ..engines.engine import Capabilities, Options
from ..engines.failures import DeadlineExceeded, Unavailable
from ..engines.supervisor import Supervisor
from ..service.log import note
from ..service.metrics import Metrics
from ..settings import Settings
from ..speech.transcript import WindowResult
from ..speech.waveform import Waveform
from ..speech.windows import Window
from .admission import SHORT, Admission, Overloaded, check
from .feeder import Feeder
from .queue import Job
from .tickets import Heard, Ticket
from .work import Work


class Scheduler:
    """Transcribes for many requests on one worker. `run` is its task."""

    def __init__(self, supervisor: Supervisor, settings: Settings, metrics: Metrics) -> None:
        self._supervisor = supervisor
        self._metrics = metrics
        self._admission = Admission()
        self._work = Work(supervisor, settings, metrics)
        self._feeder = Feeder(self._work, supervisor, metrics)
        self.elsewhere: Callable[[], float] = lambda: 0.0
        """Seconds of sound that the queues of other models hold: the limits are of all together."""

    @property
    def start_seconds(self) -> float:
        """Seconds that a request waits for a worker that is on its way."""
        return self._feeder.start_seconds

    @start_seconds.setter
    def start_seconds(self, seconds: float) -> None:
        self._feeder.start_seconds = seconds

    @property
    def seconds(self) -> float:
        """Seconds of sound that wait or are transcribed."""
        return self._work.seconds

    @property
    def queued(self) -> float:
        """The same, or 0 when nothing waits."""
        return self.seconds if self._work.queue else 0.0

    @property
    def waiting(self) -> int:
        """How many windows wait."""
        return self._work.queue.windows

    @property
    def requests(self) -> int:
        """How many requests are being served."""
        return self._admission.requests

    @property
    def answering(self) -> bool:
        """Whether it makes progress."""
        return self._feeder.answering

    def configure(self, settings: Settings) -> None:
        """Take new settings, for the requests and batches to come."""
        self._work.settings = settings

    def place(self) -> AbstractContextManager[None]:
        """A request's place, from its first byte to the end of its reply. Entering raises Overloaded when there are too many."""
        most = self._work.settings.limits.requests
        return self._counted(self._admission.place(most, self.seconds + self.elsewhere(), self._work.pace))

    @property
    def full(self) -> Overloaded | None:
        """With what a short recording would be refused now; None when there is room for it."""
        work, limits = self._work, self._work.settings.limits
        elsewhere = self.elsewhere()
        try:
            self._admission.check(limits.requests, self.seconds + elsewhere, work.pace)
            check(SHORT, limits.queued_seconds, self.queued + elsewhere, work.pace)
        except Overloaded as error:
            return error
        return None

    @contextlib.asynccontextmanager
    async def engine(self) -> AsyncIterator[Capabilities]:
        """What the engine can do, which holds until the end; waits for the first worker. Raises Unavailable."""
        try:
            while (known := self._supervisor.promised) is None:
                await self._supervisor.ready(self.start_seconds)
        finally:
            self._work.rest()
        with self._supervisor.going_by(known):
            yield known

    async def transcribe(
        self, waveform: Waveform, windows: Sequence[Window], options: Options, heard: Heard | None = None
    ) -> list[WindowResult]:
        """Transcribe windows of a waveform, of which there is at least one; the results are in their order.

        Cancelling it drops its windows. Raises Overloaded, Unavailable, EngineFailed, DeadlineExceeded.
        """
        work, limits = self._work, self._work.settings.limits
        with self._counting():
            queued = self.queued + self.elsewhere()
            check(sum(window.duration for window in windows), limits.queued_seconds, queued, work.pace)
        self._metrics.admitted(waveform.duration)
        deadline = limits.deadline_seconds + limits.deadline_factor * waveform.duration
        job = Job(windows, options, time.monotonic())
        ticket = Ticket(waveform, [None] * len(windows), asyncio.get_running_loop().create_future(), heard)
        work.tickets[job] = ticket
        work.queue.put(job)
        self._feeder.wake()
        work.report()
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
            work.queue.drop(job)
            del work.tickets[job]
            work.report()
            facts = {"wait_seconds": ticket.waited, "engine_seconds": ticket.engine, "windows": len(windows)}
            note(**{name: value for name, value in facts.items() if value is not None})

    def stop(self) -> None:
        """Give up what is still under way, because the server has to go."""
        for job in [*self._work.tickets]:
            self._work.fail(job, Unavailable("The server is shutting down. Send it again in a moment.", 5))

    async def run(self) -> None:
        """Feed the worker, until cancelled."""
        await self._feeder.run()

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

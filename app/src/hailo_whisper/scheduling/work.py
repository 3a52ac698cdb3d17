"""What there is to do for one worker: the requests that wait, the batches that are with it, and how fast it goes."""

import math
import time
from collections.abc import Sequence

from ..engines.engine import Capabilities, Options
from ..engines.failures import Unavailable
from ..engines.supervisor import Supervisor
from ..service.metrics import Metrics
from ..settings import Settings
from .queue import Job, Limits, Piece, Queue
from .speed import Speed
from .tickets import Flight, Ticket

EXPRESS_SECONDS = 30.0
"""Sound of a request that may take the engine's express, while longer ones have every lane."""


class Work:
    """The two sides of a scheduler meet here: that of the requests, and that of the worker."""

    def __init__(self, supervisor: Supervisor, settings: Settings, metrics: Metrics) -> None:
        self.settings = settings
        self.queue = Queue()
        self.tickets: dict[Job, Ticket] = {}
        self.flights: set[Flight] = set()
        self.speed = Speed()
        self._supervisor = supervisor
        self._metrics = metrics

    @property
    def seconds(self) -> float:
        """Seconds of sound that wait or are transcribed."""
        return self.queue.seconds + sum(flight.seconds for flight in self.flights)

    @property
    def pace(self) -> float:
        """Seconds for one second of sound that is there now, all lanes together; short windows cost as much as longer ones."""
        floor = self.limits().floor
        work = self.queue.work(floor) + sum(max(p.window.duration, floor) for flight in self.flights for p in flight.batch)
        return self.speed.factor / self._lanes * (work / self.seconds if self.seconds else 1.0)

    @property
    def full(self) -> bool:
        """Whether every lane is busy."""
        return sum(not flight.express for flight in self.flights) >= self._lanes

    @property
    def _lanes(self) -> int:
        return self._supervisor.capabilities.lanes if self._supervisor.capabilities else 1

    @property
    def _express(self) -> bool:
        return self._supervisor.capabilities is not None and self._supervisor.capabilities.express

    def limits(self) -> Limits:
        """How large a batch may be."""
        model, windows = self.settings.model, self.settings.windows
        capabilities = self._supervisor.capabilities
        return Limits(
            windows=model.batch or (capabilities.batch if capabilities else 1),
            seconds=model.batch_target_seconds,
            speed=self.speed.factor,
            floor=max(windows.least_seconds - windows.margin_seconds, 0.0),
        )

    def take(self) -> list[Piece]:
        """A batch for the worker; empty when there is none, or no lane for it."""
        if any(flight.alone for flight in self.flights):
            return []
        most = math.inf
        if self.full:
            if not self._express or any(flight.express for flight in self.flights):
                return []
            most = EXPRESS_SECONDS
        return self.queue.take(self.limits(), time.monotonic(), busy=bool(self.flights), most=most)

    def fail_unfit(self) -> None:
        """Give up what the engine that answers now cannot do: another one was there when it was taken on."""
        known = self._supervisor.capabilities
        for job in self.queue:
            if known and (why := _unfit(job.options, known)):
                self.fail(job, Unavailable(f"Another engine took over while the request waited, and it {why}. Send it again.", 5))

    def measured(self, batch: Sequence[Piece], seconds: float) -> None:
        """The worker took so many seconds for a batch."""
        floor = self.limits().floor
        self.speed.measured(sum(max(piece.window.duration, floor) for piece in batch), seconds)

    def fail(self, job: Job, error: Exception) -> None:
        """Nothing comes of a request."""
        self.queue.drop(job)
        if ticket := self.tickets.get(job):
            ticket.fail(error)

    def rest(self) -> None:
        """Tell the worker when there is nothing more to do for now."""
        if not self.queue and not self.flights:
            self._supervisor.rest()

    def report(self) -> None:
        """Tell the metrics how much there is."""
        self._metrics.queue(self._supervisor.model, len(self.tickets), self.queue.windows, self.queue.seconds)


def _unfit(options: Options, known: Capabilities) -> str | None:
    """What of it an engine cannot do, when it cannot do all. The rest is refused before a request is taken on (api.demands)."""
    if options.language is not None and options.language not in known.languages:
        return f"does not know the language '{options.language}'"
    if options.task == "translate" and not known.translates:
        return "cannot translate"
    return None

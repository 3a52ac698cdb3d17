"""What the parts of a supervisor have in common: the post that a worker holds, whether there is one now or not."""

import asyncio
import logging
import time
from collections.abc import Callable

from ..service.metrics import Metrics
from .breaker import Breaker
from .engine import Capabilities, Strain
from .handle import Handle
from .launch import Found, Launch, Patience
from .promises import Promises
from .status import State, Status
from .trouble import NoMemory

log = logging.getLogger(__name__)

Room = Callable[[Found], str | None]
"""Asked before a worker is started: None when there is room for it in the memory, else why there is none yet."""


class Post:
    """What is wanted of a worker, and what is known of the one that there is. With `on_demand` it is vacant until somebody asks."""

    def __init__(self, launch: Launch, patience: Patience, metrics: Metrics, *, on_demand: bool) -> None:
        self.launch = launch
        self.patience = patience
        self.metrics = metrics
        self.on_demand = on_demand
        self.room: Room = lambda _: None
        self.full: str | None = None
        """Why there is no room for it, while somebody waits for that."""
        self.breaker = Breaker()
        self.status = Status("The model is being loaded.")
        self.handle: Handle | None = None
        self.found: Found | None = None
        """The model that was found last: the one that is loaded, if any is."""
        self.capabilities: Capabilities | None = None
        """What the worker can do, or the last one could."""
        self.announced: Capabilities | None = None
        """What one can do that takes over as soon as nobody goes by anything else."""
        self.promises = Promises()
        self.standing_in = False
        """Whether the worker, if there is one, is of the launch's stand-in."""
        self.away: str | None = None
        """Why the launch's own engine cannot be used; None as long as nobody knows that it cannot."""
        self.restarts = 0
        self.lost: str | None = None
        self.cause: str | None = None
        """Why it is lost, as a sentence."""
        self.replace: str | None = None
        """Why the worker is to be replaced by another although nothing is wrong with it."""
        self.wanted = False
        self.errors = 0
        """Batches in a row over which the engine raised."""
        self.answered = self.used = self.started = time.monotonic()
        # Something to look at: a loss, a new configuration, a request for an unloaded model, rest after one.
        self._stir = asyncio.Event()

    @property
    def state(self) -> State:
        """What the worker is doing."""
        return self.status.state

    @property
    def serving(self) -> Launch:
        """What the worker, if there is one, was started with."""
        return self.launch.stand_in if self.standing_in and self.launch.stand_in else self.launch

    @property
    def caveat(self) -> str | None:
        """Why what answers is not what was configured, or not as fast as it could be."""
        told = [self.found.reason] if self.found and self.found.reason else []
        if self.standing_in:
            told.insert(
                0, f"The CPU transcribes in place of {self.launch.processor} (engine.fallback). {self.away or ''}".strip()
            )
        if self.handle and self.handle.strain.sentence:
            told.append(self.handle.strain.sentence)
        return " ".join(told) or None

    @property
    def degraded(self) -> bool:
        """Whether another engine or another model stands in for what was configured."""
        stands_in = self.standing_in or bool(self.found and self.found.fallback_for)
        return stands_in and self.state in (State.READY, State.UNLOADED)

    @property
    def needless(self) -> bool:
        """Whether nobody waits for a worker that is there on demand only."""
        return self.on_demand and not self.wanted

    @property
    def usable(self) -> bool:
        """Whether there is a worker that can be asked."""
        return self.state is State.READY and not self.lost and not self.replace

    @property
    def next_start(self) -> float | None:
        """Seconds until the next attempt to start a worker, when one is put off."""
        return max(self.breaker.next - time.monotonic(), 0.0) if self.breaker.next is not None else None

    def set(self, state: State, reason: str | None) -> None:
        """Tell everybody what the worker is doing now."""
        self.status.set(state, reason)
        self.metrics.model_state(self.launch.model, state, degraded=self.degraded)

    def lose(self, handle: Handle, reason: str, cause: str | None = None) -> None:
        """A worker is of no more use. The next one may be on its way already, and has done nothing wrong.

        `reason` is a word for the metrics, `cause` a sentence.
        """
        if handle is self.handle and not self.lost:
            self.lost, self.cause = reason, cause
            self.stir()

    def failed_to_start(self, error: Exception) -> None:
        """A worker could not be started."""
        self.metrics.worker_lost("start")
        if isinstance(error, NoMemory):
            self.metrics.out_of_memory("load", 1)

    def strained(self, handle: Handle, before: Strain) -> None:
        """See how a worker does with its device's memory, after a batch; `before` is how it did before it."""
        now = handle.strain
        if now.times > before.times:
            self.metrics.out_of_memory("batch", now.times - before.times)
        if now.sentence != before.sentence and handle is self.handle and self.state is State.READY:
            log.warning("%s", now.sentence or "The GPU has memory enough again.")
            self.set(State.READY, self.caveat)

    def keep_away(self, why: str) -> None:
        """The launch's own engine cannot be used now."""
        if why == self.away:
            return
        self.away = why
        if self.standing_in and self.state is State.READY:
            self.set(State.READY, self.caveat)
        self.stir()

    def drop(self) -> None:
        """End the worker's process."""
        if self.handle:
            self.handle.close()
            self.handle = None

    def stir(self) -> None:
        """There is something to look at."""
        self._stir.set()

    def calm(self) -> None:
        """It is being looked at."""
        self._stir.clear()

    async def stirred(self, seconds: float | None) -> None:
        """Wait for something to look at, so many seconds at most."""
        try:
            async with asyncio.timeout(seconds):
                await self._stir.wait()
        except TimeoutError:
            pass
        self.calm()

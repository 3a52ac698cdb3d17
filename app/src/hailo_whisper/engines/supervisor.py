"""The worker of a model: started, warmed up, asked, killed at its deadline, unloaded when idle, started again.

The rest of the server sees one object that either transcribes or says at once why it cannot. `starter` brings a worker up, `watch`
watches over it, `comeback` tries an engine that could not be used; what they know of it is in the `post`.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator, Sequence

from ..service.child import ChildDied, ChildStarved, ChildTimeout
from ..service.metrics import Metrics
from ..speech.transcript import WindowResult
from . import pauses
from .comeback import Comeback
from .engine import Capabilities, Options
from .failures import DeadlineExceeded, DeviceLost, EngineFailed, Nonsense, NoRoom, Starved, Unavailable, WorkerLost
from .handle import Item
from .launch import Found, Launch, Patience
from .post import Post, Room
from .starter import Starter
from .status import State
from .trouble import DeviceTrouble, NoMemory
from .watch import Watch

log = logging.getLogger(__name__)

MOST_ERRORS = 3
"""Batches in a row over which the engine may raise before its process is taken for sick."""


class Supervisor:
    """Keeps one warmed-up worker. `run` is its task; everything else may be called while it runs.

    With `on_demand` there is none before the first request, nor when one is lost and nobody waits for another.
    """

    def __init__(self, launch: Launch, patience: Patience, metrics: Metrics, *, on_demand: bool = False) -> None:
        self._post = Post(launch, patience, metrics, on_demand=on_demand)
        self._comeback = Comeback(self._post)
        self._starter = Starter(self._post, self._comeback)
        self._watch = Watch(self._post, self._comeback)

    @property
    def room(self) -> Room:
        """Asked before a worker is started."""
        return self._post.room

    @room.setter
    def room(self, room: Room) -> None:
        self._post.room = room

    @property
    def state(self) -> State:
        """What the worker is doing."""
        return self._post.state

    @property
    def reason(self) -> str | None:
        """Why it is not ready, or why the model that answers is not the configured one."""
        return self._post.status.reason

    @property
    def model(self) -> str:
        """The configured name of the model."""
        return self._post.launch.model

    @property
    def found(self) -> Found | None:
        """The model that was found last: the one that is loaded, if any is."""
        return self._post.found

    @property
    def engine(self) -> str:
        """What the engine is called that answers, or is to, such as "ctranslate2"."""
        return self._post.serving.engine_name

    @property
    def engine_fallback_for(self) -> str | None:
        """The engine in whose place another one answers."""
        return self._post.launch.engine_name if self._post.standing_in else None

    @property
    def degraded(self) -> bool:
        """Whether another engine or another model stands in for what was configured."""
        return self._post.degraded

    @property
    def capabilities(self) -> Capabilities | None:
        """What the engine can do, once it has been loaded."""
        return self._post.capabilities

    @property
    def promised(self) -> Capabilities | None:
        """What requests are told that it can do: less, perhaps, when another engine is about to take over."""
        return self._post.announced or self._post.capabilities

    @contextlib.contextmanager
    def going_by(self, capabilities: Capabilities) -> Iterator[None]:
        """A request goes by what it was told, to its end; until then no engine takes over that can do less."""
        with self._post.promises.hold(capabilities):
            yield

    @property
    def pid(self) -> int | None:
        """Process id of the worker, when there is one."""
        return self._post.handle.pid if self._post.handle else None

    @property
    def restarts(self) -> int:
        """How many workers were lost and replaced."""
        return self._post.restarts

    @property
    def failed_starts(self) -> int:
        """How many attempts to start a worker have failed in a row."""
        return self._post.breaker.failures or self._comeback.failures

    @property
    def next_start(self) -> float | None:
        """Seconds until the next attempt to start a worker, when one is put off."""
        own = self._post.next_start
        return self._comeback.next if own is None else own

    @property
    def answering(self) -> bool:
        """Whether all goes as it should: an idle worker answered lately, or what is under way has a deadline still to come."""
        post = self._post
        if post.state is not State.READY or (post.handle and post.handle.busy):
            return True
        return time.monotonic() - post.answered < 3 * pauses.PING

    def deadline(self, seconds: float) -> float:
        """Seconds that a batch with so many seconds of sound may take."""
        return self._post.patience.batch + self._post.patience.factor * seconds

    async def settled(self) -> None:
        """Wait until the first attempt to start has come to an end, good or bad."""
        while self.state is State.LOADING:
            await self._post.status.changed()

    def configure(self, launch: Launch | None, patience: Patience) -> None:
        """Take new settings. With a `launch` the worker is replaced after the batch in flight; requests wait for the new one."""
        post = self._post
        post.patience = patience
        if launch:
            post.launch = launch
            post.standing_in, post.away = False, None
            post.replace = "The configuration changed, and the model is being loaded."
            post.breaker.reset()
            self._comeback.reset()
            if post.state is State.FAILED:
                post.set(State.LOADING, post.replace)
        post.stir()

    def improve(self, launch: Launch) -> None:
        """Try a better engine than the one that serves, beside it; it takes over when it works."""
        self._comeback.improve(launch)

    async def ready(self, seconds: float | None = None) -> None:
        """Wait for a worker for so many seconds (`Patience.start` unless given), as long as one is on its way.

        Raises Unavailable. A worker is kept from now on until `rest`.
        """
        post = self._post
        post.wanted = True
        if post.handle and not post.handle.alive:
            post.lose(post.handle, "died")
        if post.state is State.UNLOADED:
            post.stir()
        try:
            async with asyncio.timeout(post.patience.start if seconds is None else seconds):
                while not post.usable:
                    if post.state in (State.FAILED, State.CLOSED):
                        raise Unavailable(f"The server cannot transcribe now: {self.reason}", 10)
                    await post.status.changed()
        except TimeoutError:
            raise Unavailable(post.full or "The model is still being loaded. Try again in a moment.", 5) from None

    def rest(self) -> None:
        """There is nothing more to do for now: the model may be unloaded when its time has come."""
        post = self._post
        post.wanted = False
        post.used = time.monotonic()
        if post.patience.keep_alive == 0:
            post.stir()

    def unload(self) -> bool:
        """End the worker if it is idle, because another model needs its memory. Whether it will be ended."""
        post = self._post
        if post.state is not State.READY or post.wanted or not post.handle or post.handle.busy:
            return False
        post.set(State.UNLOADED, None)
        post.stir()
        return True

    async def transcribe(self, items: Sequence[Item], options: Options) -> list[WindowResult]:
        """Transcribe one batch, across requests. `capabilities.lanes` of them and the express may be under way at a time; others wait.

        Raises Unavailable when there is no worker, WorkerLost when it died over the batch, Starved when that was for want of memory, DeviceLost when it was the device that failed,
        NoRoom when not even one window fitted into the device's memory, DeadlineExceeded when it was killed at the deadline, EngineFailed when the engine failed and its process lives.
        """
        post = self._post
        deadline = self.deadline(sum(item.window.duration for item in items))
        await self.ready()
        if (handle := post.handle) is None:
            raise Unavailable("The server is shutting down. Send it again in a moment.", 5)
        strain = handle.strain
        try:
            found = await handle.transcribe(items, options, deadline)
        except ChildDied as error:
            starved = isinstance(error, ChildStarved)
            post.lose(handle, "memory" if starved else "died", f"{error}.")
            raise (Starved if starved else WorkerLost)(str(error)) from None
        except ChildTimeout:
            log.error("the worker did not finish within %.0f s: it is killed and replaced", deadline)
            late = f"It did not finish a batch within its deadline of {deadline:.0f} seconds and was stopped."
            post.lose(handle, "deadline", late)
            if post.launch.stand_in and not post.standing_in:
                # What takes its place is on its way, and may well be in time.
                raise DeviceLost(late) from None
            raise DeadlineExceeded(
                f"The transcription did not finish within its deadline of {deadline:.0f} seconds and was stopped. "
                "Send a shorter recording, or raise limits.batch_seconds or limits.deadline_factor."
            ) from None
        except DeviceTrouble as error:
            # What the worker had on the device is lost with it; the next one looks for the device, and says why it is not there.
            log.error("%s", error)
            if isinstance(error, NoMemory) and not (post.launch.stand_in and not post.standing_in):
                post.errors += 1
                if post.errors >= MOST_ERRORS:
                    # What it holds itself comes back with another process.
                    post.lose(handle, "memory", str(error))
                raise NoRoom(str(error)) from None
            post.lose(handle, "device", str(error))
            raise DeviceLost(str(error)) from None
        except EngineFailed as error:
            post.errors += 1
            log.error("%s", error)
            if isinstance(error, Nonsense) or post.errors >= MOST_ERRORS:
                post.lose(handle, "sick", str(error))
            raise
        else:
            post.errors = 0
            post.breaker.worked()
            return found
        finally:
            post.strained(handle, strain)
            post.used = post.answered = time.monotonic()
            if post.replace:
                post.stir()

    async def run(self) -> None:
        """Start a worker, and another whenever it is lost, until cancelled."""
        post = self._post
        try:
            while True:
                while post.state is State.UNLOADED and not post.wanted and not (post.on_demand and post.replace):
                    await post.stirred(None)
                handle = await self._starter.bring_up()
                if handle:
                    await self._watch.keep(handle)
        finally:
            self._comeback.stop()
            post.drop()
            post.set(State.CLOSED, "The server is shutting down.")

"""The worker of a model: started, warmed up, asked, killed at its deadline, unloaded when idle, started again.

The rest of the server sees one object that either transcribes or says at once why it cannot.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence

from ..service.child import ChildDied, ChildTimeout
from ..service.metrics import Metrics
from ..speech.transcript import WindowResult
from .breaker import Breaker
from .engine import Capabilities, Options
from .failures import DeadlineExceeded, EngineFailed, Nonsense, Unavailable, WorkerLost, explanation
from .handle import Handle, Item
from .launch import Found, Launch, Patience, fingerprint
from .status import State, Status
from .trouble import DeviceBusy, DeviceTrouble

log = logging.getLogger(__name__)

PING_SECONDS = 5.0
LOOK_SECONDS = 2.0
"""How often the models' folders are looked at while there is no worker because of them, or another model's."""
ROOM_SECONDS = 0.1
"""How often it is asked whether there is room in the memory now."""
MOST_ERRORS = 3
"""Batches in a row over which the engine may raise before its process is taken for sick."""
DEVICE_SECONDS = 10.0
"""Longest pause before a device that was gone is looked for again: it may come back by itself, where a broken model does not."""
BUSY_SECONDS = 1.0
"""How often a device is asked for that somebody else has."""
LONG_LIFE = 60.0
"""Seconds after which a worker that dies has not died at once."""


Room = Callable[[Found], str | None]
"""Asked before a worker is started: None when there is room for it in the memory, else why there is none yet."""


class Supervisor:
    """Keeps one warmed-up worker. `run` is its task; everything else may be called while it runs.

    With `on_demand` there is none before the first request, nor when one is lost and nobody waits for another.
    """

    def __init__(self, launch: Launch, patience: Patience, metrics: Metrics, *, on_demand: bool = False) -> None:
        self._launch = launch
        self._on_demand = on_demand
        self.room: Room = lambda _: None
        # Why there is no room for it, while somebody waits for that.
        self._full: str | None = None
        self._patience = patience
        self._metrics = metrics
        self._breaker = Breaker()
        self._handle: Handle | None = None
        # Something for `run` to look at: a loss, a new configuration, a request for an unloaded model, rest after one.
        self._stir = asyncio.Event()
        self._lost: str | None = None
        # Why the worker is to be replaced by another although nothing is wrong with it.
        self._replace: str | None = None
        self._wanted = False
        self._errors = 0
        self._answered = self._used = self._started = self._looked = time.monotonic()
        self._status = Status("The model is being loaded.")
        self.found: Found | None = None
        """The model that was found last: the one that is loaded, if any is."""
        self.capabilities: Capabilities | None = None
        self.restarts = 0

    @property
    def state(self) -> State:
        """What the worker is doing."""
        return self._status.state

    @property
    def reason(self) -> str | None:
        """Why it is not ready, or why the model that answers is not the configured one."""
        return self._status.reason

    @property
    def model(self) -> str:
        """The configured name of the model."""
        return self._launch.model

    @property
    def pid(self) -> int | None:
        """Process id of the worker, when there is one."""
        return self._handle.pid if self._handle else None

    @property
    def failed_starts(self) -> int:
        """How many attempts to start a worker have failed in a row."""
        return self._breaker.failures

    @property
    def next_start(self) -> float | None:
        """Seconds until the next attempt to start a worker, when one is put off."""
        return max(self._breaker.next - time.monotonic(), 0.0) if self._breaker.next is not None else None

    @property
    def answering(self) -> bool:
        """Whether all goes as it should: an idle worker answered lately, or what is under way has a deadline still to come."""
        if self.state is not State.READY or (self._handle and self._handle.busy):
            return True
        return time.monotonic() - self._answered < 3 * PING_SECONDS

    def deadline(self, seconds: float) -> float:
        """Seconds that a batch with so many seconds of sound may take."""
        return self._patience.batch + self._patience.factor * seconds

    async def settled(self) -> None:
        """Wait until the first attempt to start has come to an end, good or bad."""
        while self.state is State.LOADING:
            await self._status.changed()

    def configure(self, launch: Launch | None, patience: Patience) -> None:
        """Take new settings. With a `launch` the worker is replaced after the batch in flight; requests wait for the new one."""
        self._patience = patience
        if launch:
            self._launch = launch
            self._replace = "The configuration changed, and the model is being loaded."
            self._breaker.reset()
            if self.state is State.FAILED:
                self._set(State.LOADING, self._replace)
        self._stir.set()

    async def ready(self, seconds: float | None = None) -> None:
        """Wait for a worker for so many seconds (`Patience.start` unless given), as long as one is on its way.

        Raises Unavailable. A worker is kept from now on until `rest`.
        """
        self._wanted = True
        if self._handle and not self._handle.alive:
            self._lose(self._handle, "died")
        if self.state is State.UNLOADED:
            self._stir.set()
        try:
            async with asyncio.timeout(self._patience.start if seconds is None else seconds):
                while not self._usable():
                    if self.state in (State.FAILED, State.CLOSED):
                        raise Unavailable(f"The server cannot transcribe now: {self.reason}", 10)
                    await self._status.changed()
        except TimeoutError:
            raise Unavailable(self._full or "The model is still being loaded. Try again in a moment.", 5) from None

    def rest(self) -> None:
        """There is nothing more to do for now: the model may be unloaded when its time has come."""
        self._wanted = False
        self._used = time.monotonic()
        if self._patience.keep_alive == 0:
            self._stir.set()

    def unload(self) -> bool:
        """End the worker if it is idle, because another model needs its memory. Whether it will be ended."""
        if self.state is not State.READY or self._wanted or not self._handle or self._handle.busy:
            return False
        self._set(State.UNLOADED, None)
        self._stir.set()
        return True

    async def transcribe(self, items: Sequence[Item], options: Options) -> list[WindowResult]:
        """Transcribe one batch, across requests. `capabilities.lanes` of them and the express may be under way at a time; others wait.

        Raises Unavailable when there is no worker, WorkerLost when it died over the batch, DeadlineExceeded when it was killed
        at the deadline, EngineFailed when the engine failed and its process lives.
        """
        deadline = self.deadline(sum(item.window.duration for item in items))
        await self.ready()
        if (handle := self._handle) is None:
            raise Unavailable("The server is shutting down. Send it again in a moment.", 5)
        try:
            found = await handle.transcribe(items, options, deadline)
        except ChildDied as error:
            self._lose(handle, "died")
            raise WorkerLost(str(error)) from None
        except ChildTimeout:
            log.error("the worker did not finish within %.0f s: it is killed and replaced", deadline)
            self._lose(handle, "deadline")
            raise DeadlineExceeded(
                f"The transcription did not finish within its deadline of {deadline:.0f} seconds and was stopped. "
                "Send a shorter recording, or raise limits.batch_seconds or limits.deadline_factor."
            ) from None
        except DeviceTrouble as error:
            # What the worker had on the device is lost with it; the next one looks for the device, and says why it is not there.
            log.error("%s", error)
            self._lose(handle, "device")
            raise WorkerLost(str(error)) from None
        except EngineFailed as error:
            self._errors += 1
            log.error("%s", error)
            if isinstance(error, Nonsense) or self._errors >= MOST_ERRORS:
                self._lose(handle, "sick")
            raise
        else:
            self._errors = 0
            self._breaker.worked()
            return found
        finally:
            self._used = self._answered = time.monotonic()
            if self._replace:
                self._stir.set()

    async def run(self) -> None:
        """Start a worker, and another whenever it is lost, until cancelled."""
        try:
            while True:
                while self.state is State.UNLOADED and not self._wanted and not (self._on_demand and self._replace):
                    await self._stirred(None)
                handle = await self._bring_up()
                if handle:
                    await self._watch(handle)
        finally:
            self._drop()
            self._set(State.CLOSED, "The server is shutting down.")

    async def _bring_up(self) -> Handle | None:
        """Start a worker; when that fails say why, and come back when it is time to try again."""
        self._replace = None
        self._stir.clear()
        try:
            found = await asyncio.to_thread(self._launch.prepare)
        # Whatever it is, the server stays up and says so: what keeps a worker from starting costs readiness, nothing else.
        except Exception as error:
            # No process was started for this, so it may be looked at again and again.
            self._failed(error, str(error))
            await self._stirred(LOOK_SECONDS)
            return None
        if self._needless:
            self.found = found
            self._set(State.UNLOADED, None)
            return None
        if self.state is State.UNLOADED or (self.state is State.FAILED and not self._breaker.failures):
            self._set(State.LOADING, "The model is being loaded.")
        if not await self._make_room(found):
            return None
        # Before the attempt, so that what changes during it is not missed.
        seen = await asyncio.to_thread(fingerprint, found.path)
        try:
            return await self._start(found)
        except Exception as error:
            self._drop()
            self._metrics.worker_lost("start")
            longest = DEVICE_SECONDS if isinstance(error, DeviceTrouble) else math.inf
            pause = self._breaker.failed(time.monotonic(), longest)
            again = f"in {pause:.0f} s, or as soon as the model's folder or the configuration changes"
            self._failed(error, f"{error}; this was attempt {self._breaker.failures}, the next is {again}")
            await self._await_chance(found, seen)
            return None

    @property
    def _needless(self) -> bool:
        """Whether nobody waits for a worker that is there on demand only."""
        return self._on_demand and not self._wanted

    async def _make_room(self, found: Found) -> bool:
        """Wait until there is room for a worker. False when that takes longer than anybody wants one, or another is wanted."""
        try:
            while full := self.room(found):
                if self._needless or self._replace:
                    self._set(State.UNLOADED if self._needless else State.LOADING, None)
                    return False
                if full != self._full:
                    self._full = full
                    self._set(State.LOADING, full)
                await self._stirred(ROOM_SECONDS)
        finally:
            self._full = None
        return True

    async def _start(self, found: Found) -> Handle:
        self._lost = None
        self._errors = 0
        began = time.monotonic()
        self.found = found
        self._handle = handle = Handle()
        await self._load(handle, found)
        self.capabilities = handle.capabilities
        self._answered = self._used = self._started = self._looked = time.monotonic()
        self._breaker.started()
        self._metrics.worker_started(self._started - began)
        facts: dict[str, object] = {"load_seconds": round(self._started - began, 3), "worker_pid": handle.pid}
        log.info("the worker is ready", extra=found.facts | facts)
        if found.reason:
            log.warning("%s", found.reason)
        return handle

    async def _load(self, handle: Handle, found: Found) -> None:
        """Load the model; wait for a device that somebody else has, and say so."""
        launch = self._launch
        end = time.monotonic() + launch.device_wait
        while True:
            try:
                return await handle.load(launch, found.path, self._patience.load)
            except DeviceBusy as error:
                if time.monotonic() + BUSY_SECONDS > end or self._replace:
                    raise
                reason = f"Waiting for the device, {launch.device_wait:.0f} s at most. {error}"
                if self.reason != reason:
                    log.warning("%s", reason)
                    self._set(State.LOADING, reason)
            await self._stirred(BUSY_SECONDS)

    async def _await_chance(self, found: Found, seen: object) -> None:
        """Come back when the next attempt is due, or when something changed that may have been the cause.

        `seen` is the fingerprint of the model's folder before the attempt that failed.
        """
        while (left := self.next_start or 0.0) > 0 and not self._replace:
            await self._stirred(min(left, LOOK_SECONDS))
            if await asyncio.to_thread(fingerprint, found.path) != seen:
                log.info("the model's folder %s has changed: trying again", found.path)
                self._breaker.reset()

    async def _watch(self, handle: Handle) -> None:
        """Be there for a worker until it is lost, replaced, or unloaded and wanted again."""
        loop = asyncio.get_running_loop()
        # Tells at once when the process ends, whoever ended it.
        loop.add_reader(handle.pidfd, self._lose, handle, "died")
        self._set(State.READY, self.found.reason if self.found else None)
        try:
            while not (self._lost or self._replace) and self.state is State.READY:
                await self._stirred(self._nap())
                await self._look_after(handle)
                await self._look_for_better()
        finally:
            loop.remove_reader(handle.pidfd)
        if self._lost:
            await self._replace_lost()
        elif self._replace:
            self._set(State.LOADING, self._replace)
            # The batches in flight are finished first.
            while handle.busy and not self._lost:
                await self._stirred(PING_SECONDS)
            self._drop()
        else:
            self._drop()

    async def _replace_lost(self) -> None:
        self._drop()
        self.restarts += 1
        self._metrics.worker_lost(self._lost or "died")
        if time.monotonic() - self._started > LONG_LIFE:
            self._breaker.worked()
        pause = self._breaker.lost(time.monotonic())
        if not pause:
            log.warning("the worker is gone and is started again")
            self._set(State.LOADING, "The worker is being started again.")
            return
        reason = f"The worker was lost {self._breaker.losses} times in a row, and is started again in {pause:.0f} s."
        log.warning("%s", reason)
        self._set(State.LOADING, reason)
        while (left := self.next_start or 0.0) > 0 and not self._replace:
            await self._stirred(left)

    def _nap(self) -> float:
        """Seconds until an idle worker needs looking after."""
        keep = self._patience.keep_alive
        left = self._used + keep - time.monotonic() if keep >= 0 and not self._wanted else PING_SECONDS
        longest = min(PING_SECONDS, LOOK_SECONDS) if self.found and self.found.fallback_for else PING_SECONDS
        return min(max(left, 0.01), longest)

    async def _look_after(self, handle: Handle) -> None:
        """Unload a worker that was idle for long enough; see whether one that stays still answers."""
        if self._lost or self._replace or handle.busy or self.state is not State.READY:
            return
        now = time.monotonic()
        if not self._wanted and 0 <= self._patience.keep_alive <= now - self._used:
            log.info("the model is unloaded after %.0f s without a request", now - self._used)
            self._set(State.UNLOADED, None)
        elif now - self._answered >= PING_SECONDS:
            try:
                await handle.ping(PING_SECONDS)
                self._answered = time.monotonic()
            except (ChildDied, ChildTimeout) as error:
                log.error("the idle worker does not answer: %s", error)
                self._lose(handle, "silent")

    async def _look_for_better(self) -> None:
        """While a model stands in for another: see whether that can be used now, or one that comes before it."""
        if not self.found or not self.found.fallback_for or time.monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        try:
            better = await asyncio.to_thread(self._launch.prepare)
        # What is loaded goes on, whatever has become of its files.
        except Exception:
            return
        if better.path != self.found.path:
            self._replace = f"The model {better.name} can be used now, and is being loaded."
            log.info("the model %s can be used now, and takes the place of %s", better.name, self.found.name)

    def _usable(self) -> bool:
        return self.state is State.READY and not self._lost and not self._replace

    def _lose(self, handle: Handle, reason: str) -> None:
        """A worker is of no more use. The next one may be on its way already, and has done nothing wrong."""
        if handle is self._handle and not self._lost:
            self._lost = reason
            self._stir.set()

    async def _stirred(self, seconds: float | None) -> None:
        """Wait for something to look at, so many seconds at most."""
        try:
            async with asyncio.timeout(seconds):
                await self._stir.wait()
        except TimeoutError:
            pass
        self._stir.clear()

    def _drop(self) -> None:
        if self._handle:
            self._handle.close()
            self._handle = None

    def _failed(self, error: Exception, line: str) -> None:
        reason = explanation(error)
        # A model that is missing is looked for every few seconds; the journal need not hear of it each time.
        if (self.state, self.reason) != (State.FAILED, reason) or self._breaker.failures:
            log.error("the worker is not ready: %s", line)
        self._set(State.FAILED, reason)

    def _set(self, state: State, reason: str | None) -> None:
        self._status.set(state, reason)
        self._metrics.model_state(self.model, state)

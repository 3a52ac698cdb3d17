"""The server's handle on the worker's process: starts it, warms it up, asks it, kills it at its deadline, starts another.

The rest of the server sees one object that either transcribes or says at once why it cannot.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from ..failure import Failure
from ..service.child import Child, ChildDied, ChildTimeout, Message
from ..speech.transcript import Segment, WindowResult
from ..speech.waveform import Waveform
from ..speech.windows import Window
from .engine import Capabilities, Options

log = logging.getLogger(__name__)

PING_SECONDS = 5.0
LONGEST_BACKOFF = 30.0


class State(StrEnum):
    """What the worker is doing, as readiness shows it."""

    LOADING = "loading"
    READY = "ready"
    UNLOADED = "unloaded"
    FAILED = "failed"
    CLOSED = "closed"


class Unavailable(Failure):
    """No worker can take the request now. `retry_after` is in whole seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class EngineFailed(Exception):
    """The engine, or its process, failed over this request; the next one has a fresh chance."""


class DeadlineExceeded(EngineFailed):
    """The engine did not finish in time. Its process was killed; sending the same again would take as long again."""


@dataclass(frozen=True)
class WarmUp:
    """What the worker has to hear right before anybody else may ask: the check raises Failure when it did not."""

    waveform: Waveform
    options: Options
    check: Callable[[str], None]


@dataclass(frozen=True)
class Launch:
    """How a worker is started. `prepare` gives the folder of a model that was verified, or raises Failure; it may block."""

    engine: str
    """`module:Class` of the engine."""
    prepare: Callable[[], Path]
    compute_type: str
    threads: int
    warm_up: WarmUp


@dataclass(frozen=True)
class Patience:
    """How long to wait for what, in seconds."""

    load: float
    deadline: float
    """For any transcription at least ..."""
    factor: float
    """... and besides for each second of the recording."""
    keep_alive: float
    """Without a request, until the worker is ended; below 0: for ever."""
    start: float = 30.0
    """That a request waits for a worker that is being started."""


class Supervisor:
    """Keeps one warmed-up worker. `run` is its task; everything else may be called while it runs."""

    def __init__(self, launch: Launch, patience: Patience) -> None:
        self._launch = launch
        self._patience = patience
        self._child: Child | None = None
        self._lock = asyncio.Lock()
        self._changed = asyncio.Condition()
        self._lost = asyncio.Event()
        self._wanted = asyncio.Event()
        self._answered = self._used = time.monotonic()
        self.state = State.LOADING
        self.reason: str | None = "The model is being loaded."
        self.capabilities: Capabilities | None = None
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """Process id of the worker, when there is one."""
        return self._child.pid if self._child else None

    @property
    def answering(self) -> bool:
        """Whether all goes as it should: an idle worker answered lately, or what is under way has a deadline still to come."""
        if self.state is not State.READY or self._lock.locked():
            return True
        return time.monotonic() - self._answered < 3 * PING_SECONDS

    async def settled(self) -> None:
        """Wait until the first attempt to start has come to an end, good or bad."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.state is not State.LOADING)

    async def run(self) -> None:
        """Start a worker, and another whenever it is lost, until cancelled."""
        failures = 0
        try:
            while True:
                try:
                    child = await self._start()
                    failures = 0
                    await self._set(State.READY, None)
                    await self._watch(child)
                # Whatever it was, the server stays up and says so: a worker that cannot start costs readiness, nothing else.
                except Exception as error:
                    failures += 1
                    pause = min(2.0**failures, LONGEST_BACKOFF)
                    self._drop()
                    log.error("the worker is not ready, trying again in %.0f s: %s", pause, error)
                    await self._set(State.FAILED, _reason(error))
                    await asyncio.sleep(pause)
        finally:
            self._drop()
            self.state, self.reason = State.CLOSED, "The server is shutting down."

    async def transcribe(self, waveform: Waveform, windows: Sequence[Window], options: Options) -> list[WindowResult]:
        """Transcribe windows of a waveform.

        Raises Unavailable when there is no worker, EngineFailed when it failed, DeadlineExceeded when it was killed at the
        deadline.
        """
        seconds = sum(window.duration for window in windows)
        deadline = self._patience.deadline + self._patience.factor * seconds
        async with self._lock:
            try:
                try:
                    return await self._attempt(waveform, windows, options, deadline)
                except ChildDied as error:
                    # Mostly it was something else that killed it.
                    log.warning("the worker died over a request, which is sent to the next one: %s", error)
                    return await self._attempt(waveform, windows, options, deadline)
            except ChildTimeout:
                log.error("the worker did not finish within %.0f s: it is killed and replaced", deadline)
                raise DeadlineExceeded(
                    f"The transcription did not finish within its deadline of {deadline:.0f} seconds and was stopped. "
                    "Send a shorter recording, or raise limits.deadline_seconds or limits.deadline_factor."
                ) from None
            except EngineFailed as error:
                raise EngineFailed(f"{error} Send it again; if that fails too, the server's journal says more.") from None
            except ChildDied as error:
                raise EngineFailed(
                    f"The engine's process died twice over this recording ({error}). Send another form of it."
                ) from None
            finally:
                self._used = self._answered = time.monotonic()

    async def _attempt(
        self, waveform: Waveform, windows: Sequence[Window], options: Options, deadline: float
    ) -> list[WindowResult]:
        """Transcribe on the worker of the moment, which is replaced when it dies or is late."""
        await self._ready()
        child = self._child
        try:
            return await self._transcribe(waveform, windows, options, deadline)
        except (ChildDied, ChildTimeout):
            # The next one may be on its way already, and has done nothing wrong.
            if self._child is child:
                self._lost.set()
            raise

    async def _ready(self) -> None:
        """Wait for a worker, as long as one is on its way. Raises Unavailable."""
        if self._child and not self._child.alive:
            self._lost.set()
        self._wanted.set()
        try:
            async with asyncio.timeout(self._patience.start), self._changed:
                await self._changed.wait_for(lambda: self.state in (State.FAILED, State.CLOSED) or self._usable())
        except TimeoutError:
            raise Unavailable("The model is still being loaded. Try again in a moment.", 5) from None
        finally:
            self._wanted.clear()
        if self.state is not State.READY:
            raise Unavailable(f"The server cannot transcribe now: {self.reason}", 10)

    def _usable(self) -> bool:
        return self.state is State.READY and not self._lost.is_set()

    async def _start(self) -> Child:
        """Bring up a worker and have it transcribe the warm-up clip. Raises when any of it goes wrong."""
        path = await asyncio.to_thread(self._launch.prepare)
        self._child = child = Child("hailo_whisper.engines.worker")
        self._lost.clear()
        began = time.monotonic()
        order = {
            "do": "load",
            "engine": self._launch.engine,
            "path": str(path),
            "compute_type": self._launch.compute_type,
            "threads": self._launch.threads,
        }
        answer = _checked(await child.ask(order, deadline=self._patience.load))
        self.capabilities = Capabilities(**answer["capabilities"])
        warm_up = self._launch.warm_up
        windows = [Window(0, warm_up.waveform.length)]
        left = max(self._patience.load - (time.monotonic() - began), 1.0)
        results = await self._transcribe(warm_up.waveform, windows, warm_up.options, left)
        warm_up.check("".join(segment.text for result in results for segment in result.segments))
        self._answered = self._used = time.monotonic()
        log.info("the worker is ready: process %d, model %s, %.1f s", child.pid, path, time.monotonic() - began)
        return child

    async def _transcribe(
        self, waveform: Waveform, windows: Sequence[Window], options: Options, deadline: float
    ) -> list[WindowResult]:
        if self._child is None:
            raise ChildDied("there is no worker")
        order = {
            "do": "transcribe",
            "length": waveform.length,
            "windows": [(window.start, window.end) for window in windows],
            "options": asdict(options),
        }
        answer = _checked(await self._child.ask(order, [waveform.fd], deadline=deadline))
        return [
            WindowResult([Segment(**segment) for segment in result["segments"]], result["language"])
            for result in answer["results"]
        ]

    async def _watch(self, child: Child) -> None:
        """Come back when the worker is lost, or was unloaded and is wanted again."""
        loop, pidfd = asyncio.get_running_loop(), child.pidfd
        # Tells at once when the process ends, whoever ended it.
        loop.add_reader(pidfd, self._lost.set)
        try:
            while not self._lost.is_set():
                try:
                    async with asyncio.timeout(PING_SECONDS):
                        await self._lost.wait()
                except TimeoutError:
                    await self._ping()
        finally:
            loop.remove_reader(pidfd)
        self._drop()
        if self.state is State.READY:
            self.restarts += 1
            log.warning("the worker is gone and is started again")
            await self._set(State.LOADING, "The worker is being started again.")
        else:
            await self._wanted.wait()
            await self._set(State.LOADING, "The model is being loaded.")

    async def _ping(self) -> None:
        """Unload a worker that was idle for long enough; see whether one that stays still answers."""
        if self._lock.locked() or self._child is None:
            return
        async with self._lock:
            idle = time.monotonic() - self._used
            if 0 <= self._patience.keep_alive <= idle:
                log.info("the model is unloaded after %.0f s without a request", idle)
                await self._set(State.UNLOADED, None)
                self._lost.set()
                return
            try:
                await self._child.ask({"do": "ping"}, deadline=PING_SECONDS)
                self._answered = time.monotonic()
            except (ChildDied, ChildTimeout) as error:
                log.error("the idle worker does not answer: %s", error)
                self._lost.set()

    def _drop(self) -> None:
        if self._child:
            self._child.close()
            self._child = None

    async def _set(self, state: State, reason: str | None) -> None:
        async with self._changed:
            self.state, self.reason = state, reason
            self._changed.notify_all()


def _reason(error: Exception) -> str:
    """Why there is no worker, and what to do about it: a Failure says that itself."""
    if isinstance(error, Failure):
        return str(error)
    return (
        f"The worker could not be started: {str(error).rstrip('.')}. The journal says more. `hailo-whisper models verify` tells whether "
        "the model is sound; if memory is short, a smaller model or a higher resource_limits.memory_max helps."
    )


def _checked(answer: Message) -> dict[str, Any]:
    if "failed" in answer.data:
        raise EngineFailed(f"The engine failed: {answer.data['failed']}.")
    return answer.data

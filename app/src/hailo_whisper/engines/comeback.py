"""The way back for an engine that cannot be used: it is tried again and again beside the one that serves meanwhile, until it works.

Each try is a whole start, in a process of its own: the device is opened and the model loaded, and the warm-up clip must be heard right.
Nothing less tells whether a device works (one that hangs is listed like any other), and as nobody waits for it, one that fails or hangs costs no
request anything. Between the tries the device is asked nothing: only its nodes are looked at, and the next try comes at once when they change.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable

from ..service.child import ChildDied, ChildTimeout
from . import pauses
from .breaker import Breaker
from .failures import explanation
from .handle import Handle
from .holdoff import Holdoff
from .launch import Launch, fingerprint
from .loading import Started, load
from .post import Post
from .trouble import DeviceTrouble

log = logging.getLogger(__name__)


class Comeback:
    """Tries the engine of a post's launch, if another may stand in for it; or a better engine that was named."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._better: Launch | None = None
        self._breaker = Breaker()
        self._holdoff = Holdoff()
        # When the first try after a loss may come, on the monotonic clock.
        self._after = 0.0
        self._task: asyncio.Task[None] | None = None
        self._handle: Handle | None = None
        self._started: Started | None = None
        self._told: str | None = None
        self.waiting: str | None = None
        """Why it takes longer, as long as it is being tried."""

    @property
    def failures(self) -> int:
        """How many tries have failed in a row."""
        return self._breaker.failures

    @property
    def next(self) -> float | None:
        """Seconds until the next try, when one is put off."""
        due = max(self._breaker.next or 0.0, self._after)
        return max(due - time.monotonic(), 0.0) if self._task and not self._handle and due else None

    @property
    def ready(self) -> bool:
        """Whether the engine works, and may take over."""
        return self._started is not None

    def improve(self, launch: Launch) -> None:
        """Try a better engine than the one that serves. It takes over when it works, and then is the post's."""
        self.stop()
        self._better = launch
        self.seek()

    def reset(self) -> None:
        """Something else was configured."""
        self.stop()
        self._better = None
        self._breaker.reset()
        self._holdoff = Holdoff()
        self._after = 0.0

    def seek(self) -> None:
        """Begin to try, unless there is nothing to be tried or it is being tried already."""
        launch = self._better or (self._post.launch if self._post.launch.stand_in else None)
        if launch and not self._task:
            self._task = asyncio.create_task(self._seek(launch))

    def stop(self) -> None:
        """Try no more for now."""
        task, self._task = self._task, None
        if task:
            task.cancel()
        self._drop()

    def take(self) -> Started | None:
        """The worker of the engine, once it works and may take over."""
        started, self._started = self._started, None
        if started is None:
            return None
        self._task = self._handle = self._told = None
        # What its coming asked for is being done.
        self._post.announced = self._post.replace = None
        if started.launch is self._better:
            self._better = None
        self._holdoff.serves(time.monotonic())
        return started

    def lost(self) -> None:
        """The worker that was taken is lost."""
        self._after = time.monotonic() + self._holdoff.lost(time.monotonic())

    async def _seek(self, launch: Launch) -> None:
        post = self._post
        try:
            while not self._started:
                await asyncio.sleep(max(self._after - time.monotonic(), 0.0))
                found = await self._try(launch)
                if found and await self._others_done(found):
                    self._started = found
            log.info("%s can be used, and takes over", launch.processor)
            post.replace = f"Now {launch.processor} can be used, and takes over."
            post.stir()
        # Whatever it is, what serves goes on; the next worker that is started has it tried again.
        except Exception as error:
            log.exception("%s is not tried any more", launch.processor)
            self._task = None
            self._drop()
            self._failed(launch, error)

    async def _try(self, launch: Launch) -> Started | None:
        """Start a worker. When that fails say why, and come back when it is time to try again."""
        post, signs = self._post, await asyncio.to_thread(launch.signs)
        try:
            found = await asyncio.to_thread(launch.prepare)
        except Exception as error:
            # No process was started for this, so it may be looked at again and again.
            self._failed(launch, error)
            await asyncio.sleep(pauses.LOOK)
            return None
        while full := post.room(found):
            self._wait(full)
            await asyncio.sleep(pauses.BUSY)
        # Before the try, so that what changes during it is not missed.
        files = await asyncio.to_thread(fingerprint, found.path)
        self._handle = Handle()
        try:
            started = await load(self._handle, launch, found, post.patience.load, self._busy)
        except Exception as error:
            self._drop()
            self.waiting = None
            post.failed_to_start(error)
            longest = pauses.BESIDE if isinstance(error, DeviceTrouble) else math.inf
            self._breaker.failed(time.monotonic(), longest)
            self._failed(launch, error)
            await self._await_chance(lambda: (launch.signs(), fingerprint(found.path)), (signs, files))
            return None
        self.waiting = None
        self._breaker.started()
        return started

    def _wait(self, reason: str) -> None:
        if reason != self.waiting:
            self.waiting = reason
            log.warning("%s", reason)
            if self._post.away and not self._better:
                self._post.keep_away(reason)
            self._post.stir()

    async def _busy(self, reason: str) -> bool:
        self._wait(reason)
        await asyncio.sleep(pauses.BUSY)
        return True

    async def _await_chance(self, look: Callable[[], object], seen: object) -> None:
        """Come back when the next try is due, or when the device or the model's files are not as they were `seen` before this one."""
        while (left := (self._breaker.next or 0.0) - time.monotonic()) > 0:
            await asyncio.sleep(min(left, pauses.LOOK))
            if await asyncio.to_thread(look) != seen:
                self._breaker.reset()

    async def _others_done(self, started: Started) -> bool:
        """Wait for the requests that were told what the other engine can do; those to come are told what this one can. False: it is lost."""
        post, handle = self._post, started.handle
        post.announced = handle.capabilities
        while handle.capabilities and post.promises.others(handle.capabilities):
            try:
                async with asyncio.timeout(pauses.PING):
                    await post.promises.over()
            except TimeoutError:
                try:
                    await handle.ping(pauses.ANSWER)
                except (ChildDied, ChildTimeout) as error:
                    self._drop()
                    self.lost()
                    self._failed(started.launch, error)
                    return False
        return True

    def _failed(self, launch: Launch, error: Exception) -> None:
        post, reason = self._post, explanation(error)
        if reason != self._told:
            self._told = reason
            log.warning("%s cannot be used: %s", launch.processor, reason)
        if launch is post.launch:
            post.keep_away(reason)

    def _drop(self) -> None:
        handle, self._handle, self._started = self._handle, None, None
        self._post.announced = None
        if handle:
            handle.close()

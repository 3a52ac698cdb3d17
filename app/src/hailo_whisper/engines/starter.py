"""How a worker comes up: its model is found, there is room for it, its device is free; and what happens when any of it goes wrong."""

import asyncio
import logging
import math
import time

from . import pauses
from .failures import explanation
from .handle import Handle
from .launch import Found, fingerprint
from .post import Post
from .status import State
from .trouble import DeviceBusy, DeviceTrouble

log = logging.getLogger(__name__)


class Starter:
    """Brings up workers for a post, one after the other."""

    def __init__(self, post: Post) -> None:
        self._post = post

    async def bring_up(self) -> Handle | None:
        """Start a worker; when that fails say why, and come back when it is time to try again."""
        post = self._post
        post.replace = None
        post.calm()
        try:
            found = await asyncio.to_thread(post.launch.prepare)
        # Whatever it is, the server stays up and says so: what keeps a worker from starting costs readiness, nothing else.
        except Exception as error:
            # No process was started for this, so it may be looked at again and again.
            self._failed(error, str(error))
            await post.stirred(pauses.LOOK)
            return None
        if post.needless:
            post.found = found
            post.set(State.UNLOADED, None)
            return None
        if post.state is State.UNLOADED or (post.state is State.FAILED and not post.breaker.failures):
            post.set(State.LOADING, "The model is being loaded.")
        if not await self._make_room(found):
            return None
        # Before the attempt, so that what changes during it is not missed.
        seen = await asyncio.to_thread(fingerprint, found.path)
        try:
            return await self._start(found)
        except Exception as error:
            post.drop()
            post.metrics.worker_lost("start")
            longest = pauses.DEVICE if isinstance(error, DeviceTrouble) else math.inf
            pause = post.breaker.failed(time.monotonic(), longest)
            again = f"in {pause:.0f} s, or as soon as the model's folder or the configuration changes"
            self._failed(error, f"{error}; this was attempt {post.breaker.failures}, the next is {again}")
            await self._await_chance(found, seen)
            return None

    async def _make_room(self, found: Found) -> bool:
        """Wait until there is room for a worker. False when that takes longer than anybody wants one, or another is wanted."""
        post = self._post
        try:
            while full := post.room(found):
                if post.needless or post.replace:
                    post.set(State.UNLOADED if post.needless else State.LOADING, None)
                    return False
                if full != post.full:
                    post.full = full
                    post.set(State.LOADING, full)
                await post.stirred(pauses.ROOM)
        finally:
            post.full = None
        return True

    async def _start(self, found: Found) -> Handle:
        post = self._post
        post.lost = None
        post.errors = 0
        began = time.monotonic()
        post.found = found
        post.handle = handle = Handle()
        await self._load(handle, found)
        post.capabilities = handle.capabilities
        post.answered = post.used = post.started = time.monotonic()
        post.breaker.started()
        post.metrics.worker_started(post.started - began)
        facts: dict[str, object] = {"load_seconds": round(post.started - began, 3), "worker_pid": handle.pid}
        log.info("the worker is ready", extra=found.facts | facts)
        if found.reason:
            log.warning("%s", found.reason)
        return handle

    async def _load(self, handle: Handle, found: Found) -> None:
        """Load the model; wait for a device that somebody else has, and say so."""
        post, launch = self._post, self._post.launch
        end = time.monotonic() + launch.device_wait
        while True:
            try:
                return await handle.load(launch, found.path, post.patience.load)
            except DeviceBusy as error:
                if time.monotonic() + pauses.BUSY > end or post.replace:
                    raise
                reason = f"Waiting for the device, {launch.device_wait:.0f} s at most. {error}"
                if post.status.reason != reason:
                    log.warning("%s", reason)
                    post.set(State.LOADING, reason)
            await post.stirred(pauses.BUSY)

    async def _await_chance(self, found: Found, seen: object) -> None:
        """Come back when the next attempt is due, or when something changed that may have been the cause.

        `seen` is the fingerprint of the model's folder before the attempt that failed.
        """
        post = self._post
        while (left := post.next_start or 0.0) > 0 and not post.replace:
            await post.stirred(min(left, pauses.LOOK))
            if await asyncio.to_thread(fingerprint, found.path) != seen:
                log.info("the model's folder %s has changed: trying again", found.path)
                post.breaker.reset()

    def _failed(self, error: Exception, line: str) -> None:
        post, reason = self._post, explanation(error)
        # A model that is missing is looked for every few seconds; the journal need not hear of it each time.
        if (post.state, post.status.reason) != (State.FAILED, reason) or post.breaker.failures:
            log.error("the worker is not ready: %s", line)
        post.set(State.FAILED, reason)

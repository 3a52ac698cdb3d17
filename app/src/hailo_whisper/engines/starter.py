"""How a worker comes up: its model is found, there is room for it, its device is free; and what happens when any of it goes wrong."""

import asyncio
import logging
import math
import time

from ..service.child import ChildStarved
from . import pauses
from .comeback import Comeback
from .failures import explanation
from .handle import Handle
from .launch import Found, Launch, fingerprint
from .loading import Started, load
from .post import Post
from .status import State
from .trouble import DeviceTrouble

log = logging.getLogger(__name__)


class Starter:
    """Brings up workers for a post, one after the other."""

    def __init__(self, post: Post, comeback: Comeback) -> None:
        self._post = post
        self._comeback = comeback

    async def bring_up(self) -> Handle | None:
        """Start a worker, or take the one that was tried beside the last one.

        When that fails say why, and come back when it is time to try again.
        """
        post = self._post
        post.replace = None
        post.calm()
        # Where nobody waits for a worker, none is tried either.
        if not post.needless:
            self._comeback.seek()
        if post.launch.stand_in and not post.away:
            await self._await_own()
        if started := self._comeback.take():
            return self._install(started)
        if post.replace:
            return None
        return await self._start(post.launch.stand_in or post.launch)

    async def _await_own(self) -> None:
        """Wait until the launch's own engine works, or has failed, or somebody waits who should not wait for it any longer."""
        post, comeback = self._post, self._comeback
        began = time.monotonic()
        while not (comeback.ready or post.away or post.replace):
            if post.wanted and time.monotonic() - began > pauses.HURRY:
                post.keep_away(comeback.waiting or f"It was not ready after {pauses.HURRY:.0f} s, and is still being tried.")
                return
            if post.state is not State.LOADING or (comeback.waiting and post.status.reason != comeback.waiting):
                post.set(State.LOADING, comeback.waiting or "The model is being loaded.")
            await post.stirred(pauses.BUSY)

    async def _start(self, launch: Launch) -> Handle | None:
        post = self._post
        post.standing_in = launch is post.launch.stand_in
        try:
            found = await asyncio.to_thread(launch.prepare)
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
        post.lost = post.cause = None
        post.found = found
        post.handle = handle = Handle()
        try:
            return self._install(await load(handle, launch, found, post.patience.load, self._waiting))
        except Exception as error:
            post.drop()
            post.failed_to_start(error)
            longest = _longest_pause(error)
            pause = post.breaker.failed(time.monotonic(), longest)
            again = f"in {pause:.0f} s, or as soon as the model's folder or the configuration changes"
            self._failed(error, f"{error}; this was attempt {post.breaker.failures}, the next is {again}")
            await self._await_chance(found, seen)
            return None

    def _install(self, started: Started) -> Handle:
        """A worker takes the post."""
        post, handle = self._post, started.handle
        if started.launch is not post.launch.stand_in:
            post.launch = started.launch
            post.standing_in = False
            post.away = None
        post.lost = post.cause = None
        post.errors = 0
        post.found, post.handle, post.capabilities = started.found, handle, handle.capabilities
        post.answered = post.used = post.started = time.monotonic()
        post.breaker.started()
        post.metrics.worker_started(started.seconds)
        facts: dict[str, object] = {"load_seconds": round(started.seconds, 3), "worker_pid": handle.pid}
        log.info("the worker is ready", extra=started.found.facts | facts)
        if post.caveat:
            log.warning("%s", post.caveat)
        return handle

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

    async def _waiting(self, reason: str) -> bool:
        """The device is waited for: say so."""
        post = self._post
        if post.status.reason != reason:
            log.warning("%s", reason)
            post.set(State.LOADING, reason)
        await post.stirred(pauses.BUSY)
        return not post.replace

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
        if post.standing_in:
            reason = f"{post.away} The CPU cannot take the place of {post.launch.processor} (engine.fallback): {reason}"
        # A model that is missing is looked for every few seconds; the journal need not hear of it each time.
        if (post.state, post.status.reason) != (State.FAILED, reason) or post.breaker.failures:
            log.error("the worker is not ready: %s", line)
        post.set(State.FAILED, reason)


def _longest_pause(error: Exception) -> float:
    """Seconds after which a start is tried again at most; what may come to an end by itself is not waited for as long as a broken model is."""
    if isinstance(error, DeviceTrouble):
        return pauses.DEVICE
    return pauses.SHORT if isinstance(error, ChildStarved) else math.inf

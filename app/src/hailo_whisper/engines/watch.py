"""The watch over a worker that is up: whether it still answers, has rested long enough, or is to make way for a better one."""

import asyncio
import logging
import time

from ..service.child import ChildDied, ChildTimeout
from . import pauses
from .comeback import Comeback
from .handle import Handle
from .post import Post
from .status import State

log = logging.getLogger(__name__)

LONG_LIFE = 60.0
"""Seconds after which a worker that dies has not died at once."""


class Watch:
    """Watches over the workers of a post, one after the other."""

    def __init__(self, post: Post, comeback: Comeback) -> None:
        self._post = post
        self._comeback = comeback
        self._looked = 0.0

    async def keep(self, handle: Handle) -> None:
        """Be there for a worker until it is lost, replaced, or unloaded and wanted again."""
        post, loop = self._post, asyncio.get_running_loop()
        self._looked = time.monotonic()
        # Tells at once when the process ends, whoever ended it.
        loop.add_reader(handle.pidfd, post.lose, handle, "died", "Its process ended.")
        post.set(State.READY, post.caveat)
        try:
            while not (post.lost or post.replace) and post.state is State.READY:
                await post.stirred(self._nap())
                await self._look_after(handle)
                await self._look_for_better()
        finally:
            loop.remove_reader(handle.pidfd)
        if post.lost:
            await self._mourn()
        elif post.replace:
            post.set(State.LOADING, post.replace)
            # The batches in flight are finished first.
            while handle.busy and not post.lost:
                await post.stirred(pauses.PING)
            post.drop()
        else:
            # Nobody wants a worker, whatever its engine.
            self._comeback.stop()
            post.drop()

    async def _mourn(self) -> None:
        """The worker is lost: wait as long as another is not to be started."""
        post = self._post
        post.drop()
        post.restarts += 1
        post.metrics.worker_lost(post.lost or "died")
        if post.launch.stand_in and not post.standing_in and not post.replace:
            # Nobody is kept waiting for an engine that was just lost: it has to prove itself first.
            self._comeback.lost()
            post.keep_away(f"The worker of {post.launch.processor} was lost. {post.cause or ''}".strip())
            log.warning("the worker of %s is lost, and the CPU takes its place", post.launch.processor)
            post.set(State.LOADING, f"The worker of {post.launch.processor} was lost, and the CPU takes its place.")
            return
        if time.monotonic() - post.started > LONG_LIFE:
            post.breaker.worked()
        pause = post.breaker.lost(time.monotonic())
        if not pause:
            log.warning("the worker is gone and is started again")
            post.set(State.LOADING, "The worker is being started again.")
            return
        reason = f"The worker was lost {post.breaker.losses} times in a row, and is started again in {pause:.0f} s."
        log.warning("%s", reason)
        post.set(State.LOADING, reason)
        while (left := post.next_start or 0.0) > 0 and not post.replace:
            await post.stirred(left)

    def _nap(self) -> float:
        """Seconds until an idle worker needs looking after."""
        post = self._post
        keep = post.patience.keep_alive
        left = post.used + keep - time.monotonic() if keep >= 0 and not post.wanted else pauses.PING
        longest = min(pauses.PING, pauses.LOOK) if post.found and post.found.fallback_for else pauses.PING
        return min(max(left, 0.01), longest)

    async def _look_after(self, handle: Handle) -> None:
        """Unload a worker that was idle for long enough; see whether one that stays still answers."""
        post = self._post
        if not post.usable or handle.busy:
            return
        now = time.monotonic()
        if not post.wanted and 0 <= post.patience.keep_alive <= now - post.used:
            log.info("the model is unloaded after %.0f s without a request", now - post.used)
            post.set(State.UNLOADED, None)
        elif now - post.answered >= pauses.PING:
            try:
                await handle.ping(pauses.ANSWER)
                post.answered = time.monotonic()
            except (ChildDied, ChildTimeout) as error:
                log.error("the idle worker does not answer: %s", error)
                post.lose(handle, "silent", f"Its idle process did not answer any more: {error}.")

    async def _look_for_better(self) -> None:
        """While a model stands in for another: see whether that can be used now, or one that comes before it."""
        post = self._post
        if not post.found or not post.found.fallback_for or time.monotonic() - self._looked < pauses.LOOK:
            return
        self._looked = time.monotonic()
        try:
            better = await asyncio.to_thread(post.serving.prepare)
        # What is loaded goes on, whatever has become of its files.
        except Exception:
            return
        if better.path != post.found.path:
            post.replace = f"The model {better.name} can be used now, and is being loaded."
            log.info("the model %s can be used now, and takes the place of %s", better.name, post.found.name)

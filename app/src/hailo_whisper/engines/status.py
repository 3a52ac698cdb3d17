"""What a worker is doing, for whoever wants to know it or waits for a change."""

import asyncio
from enum import StrEnum


class State(StrEnum):
    """What the worker is doing, as readiness shows it."""

    LOADING = "loading"
    READY = "ready"
    UNLOADED = "unloaded"
    FAILED = "failed"
    CLOSED = "closed"


class Status:
    """A state, and a sentence about it."""

    def __init__(self, reason: str | None) -> None:
        self.state = State.LOADING
        self.reason = reason
        # Set, and replaced by another, at every change.
        self._changed = asyncio.Event()

    def set(self, state: State, reason: str | None) -> None:
        """Change it."""
        self.state, self.reason = state, reason
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self) -> None:
        """Wait for the next change."""
        await self._changed.wait()

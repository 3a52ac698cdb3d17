"""What requests were told that the engine can do. They go by it to their end, also when another engine takes over meanwhile."""

import asyncio
import contextlib
from collections.abc import Iterator

from .engine import Capabilities


class Promises:
    """Counts those who go by what they were told."""

    def __init__(self) -> None:
        self._held: list[Capabilities] = []
        # Set, and replaced by another, whenever one is over.
        self._over = asyncio.Event()

    @contextlib.contextmanager
    def hold(self, capabilities: Capabilities) -> Iterator[None]:
        """Somebody goes by this until the end."""
        self._held.append(capabilities)
        try:
            yield
        finally:
            self._held.remove(capabilities)
            self._over.set()
            self._over = asyncio.Event()

    def others(self, capabilities: Capabilities) -> bool:
        """Whether anybody goes by anything else."""
        return any(held != capabilities for held in self._held)

    async def over(self) -> None:
        """Wait until somebody is done."""
        await self._over.wait()

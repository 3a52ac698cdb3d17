"""Waiting for what happens in another process or task: as short as it takes, and never for ever."""

import asyncio
import time
from collections.abc import Awaitable, Callable

LONGEST = 30.0
STEP = 0.02


def until(condition: Callable[[], object]) -> None:
    """Poll until the condition holds; fail when it does not within half a minute."""
    end = time.monotonic() + LONGEST
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(STEP)


async def eventually(condition: Callable[[], object | Awaitable[object]]) -> None:
    """Do `until` without blocking the event loop; the condition may be a coroutine function."""
    end = time.monotonic() + LONGEST
    while True:
        result = condition()
        if isinstance(result, Awaitable):
            result = await result
        if result:
            return
        assert time.monotonic() < end, "it did not happen"
        await asyncio.sleep(STEP)

"""The client at the other end: it may go away, and it may still be sending when there is nothing more to say to it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

# Who is refused while it sends more than this does not get to see the answer, if it closes the connection after it.
DRAIN_BYTES = 1024 * 1024
DRAIN_SECONDS = 2.0

Reply = TypeVar("Reply")


async def while_connected(request: Request, work: Coroutine[Any, Any, Reply]) -> Reply:
    """Do the work for a request whose body was read; cancel it as soon as its client goes away, and raise ClientDisconnect."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        for each in (task, gone):
            each.cancel()
        # What the work holds is given back before the request is over.
        await asyncio.gather(task, gone, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def awaits_consent(request: Request) -> bool:
    """Whether the client waits to be asked for the body, and need not send it at all."""
    return request.headers.get("expect", "").lower() == "100-continue"


async def drain(request: Request) -> None:
    """Read a little of a body that nobody wants, because a client that is still sending may not see an answer."""
    if awaits_consent(request):
        return
    size = 0
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            async for chunk in request.stream():
                size += len(chunk)
                if size > DRAIN_BYTES:
                    return
    except TimeoutError:
        return

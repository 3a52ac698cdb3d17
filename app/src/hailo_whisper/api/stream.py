"""A reply as server-sent events: what was heard is told window by window, while the rest is still being transcribed."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Self

from fastapi import Request, Response
from starlette.requests import ClientDisconnect

from ..formats import Details, events
from ..scheduling.tickets import Heard
from ..service import log
from ..speech.transcript import Transcript, WindowResult
from . import errors
from .client import while_connected

CONTENT_TYPE = "text/event-stream; charset=utf-8"
# The last is nginx' word for passing on each event at once, as a stream is meant to be.
HEADERS = {"Content-Type": CONTENT_TYPE, "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
QUIET_SECONDS = 15.0
"""After so many seconds without an event comes a comment: proxies close what is quiet for a minute, some for half of one."""

Work = Callable[[Heard], Awaitable[Transcript]]


class Stream:
    """The events of one request, an async context manager; leaving it cancels the work.

    What fails before the first event is raised, so that it becomes an error with a status of its own. After that it is an event.
    """

    def __init__(self, work: Work, details: Details) -> None:
        """`work` transcribes, and calls what it is given with each window that was heard."""
        self._work = work
        self._details = details
        self._first: bytes | None = None
        self._events = self._follow()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._events.aclose()

    async def begin(self) -> None:
        """Wait for the first event. Raises what the work raises."""
        self._first = await anext(self._events)

    def response(self, held: contextlib.AsyncExitStack) -> Response:
        """The reply; `held`, with this stream in it, is closed at its end, however it comes to that."""
        return _Response(self, held)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """The next event; the first is there already."""
        first, self._first = self._first, None
        return first if first is not None else await anext(self._events)

    async def _follow(self) -> AsyncGenerator[bytes, None]:
        deltas = events.Deltas(self._details)
        told: asyncio.Queue[bytes | None] = asyncio.Queue()

        def heard(number: int, result: WindowResult) -> None:
            if event := deltas.take(number, result):
                told.put_nowait(event)

        task = asyncio.ensure_future(self._work(heard))
        # After the events that it has brought.
        task.add_done_callback(lambda _: told.put_nowait(None))
        begun = False
        try:
            while (event := await _next(told, QUIET_SECONDS if begun else None)) is not None:
                yield event
                begun = True
            yield events.done(task.result(), self._details)
        except Exception as error:
            if not begun:
                raise
            failed = errors.translate(error)
            log.note(stream_error=failed.code or str(failed.status))
            yield events.data(errors.body(failed))
        finally:
            task.cancel()
            # What the work holds is given back before the request is over.
            await asyncio.gather(task, return_exceptions=True)


async def _next(told: "asyncio.Queue[bytes | None]", seconds: float | None) -> bytes | None:
    try:
        async with asyncio.timeout(seconds):
            return await told.get()
    except TimeoutError:
        return events.QUIET


class _Response(Response):
    """Sends events as they come, and stops the work when its client goes away."""

    def __init__(self, stream: Stream, held: contextlib.AsyncExitStack) -> None:
        super().__init__(headers=HEADERS)
        # Nobody knows yet how long it will be.
        del self.headers["content-length"]
        self._stream = stream
        self._held = held

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async with self._held:
            try:
                await while_connected(Request(scope, receive), self._send(send))
            except ClientDisconnect:
                log.note(stream_error="client_gone")

    async def _send(self, send: Any) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for event in self._stream:
            await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

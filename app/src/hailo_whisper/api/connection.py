"""A connection's beginning and its end, where there is no request for the application to answer.

Who opens one and does not say what it wants is not waited for (slow-loris), nor who does not take the reply; and what is no HTTP
is refused in the form that every error has. uvicorn itself waits for ever, and refuses in plain text. What comes after the head
of a request is read by api.upload, which has its own patience.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from . import errors
from .access import request_id
from .errors import ApiError
from .upload import GRACE

LINGER_SECONDS = 2.0
"""For what is still being sent by a client that has its answer: a connection that is closed on it may take the answer along."""


class _Reply(asyncio.Transport):
    """What uvicorn writes a reply to, and closes after it where the client wants no more, be its request still coming or not."""

    def __init__(self, transport: asyncio.Transport, end: Callable[[], None]) -> None:
        super().__init__()
        self._transport = transport
        self._end = end

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send it."""
        self._transport.write(data)

    def is_closing(self) -> bool:
        """Whether nothing is sent any more."""
        return self._transport.is_closing()

    def close(self) -> None:
        """End the connection in its protocol's way."""
        self._end()


class PatientProtocol(H11Protocol):
    """Closes a connection that is late: with a head, with taking its reply, or with the rest of a request that has its reply."""

    seconds = 20.0
    """For each of the three."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._closing: asyncio.TimerHandle | None = None
        self._stalling: asyncio.TimerHandle | None = None
        self._answered = False
        """Whether nothing is read any more: what still comes is thrown away."""
        self._leftover = False
        """Whether a reply was given before all of its request had come."""
        self._unread = 0
        """Bytes of that request that came since."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Wait for the rest of a head that has begun."""
        if self._leftover or self._answered:
            self._unread += len(data)
            if self._unread > GRACE:
                self.transport.close()
                return
        if self._answered:
            return
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for the rest of this request, or of a next one that is there in part: uvicorn's keep-alive does all else."""
        super().on_response_complete()
        if self.conn.trailing_data[0] or self.conn.their_state is h11.SEND_BODY:
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop()
        self._flows()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Wait for the client to take what it was sent."""
        super().pause_writing()
        if self._stalling is None:
            self._look(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Go on: it takes it."""
        super().resume_writing()
        self._flows()

    def send_400_response(self, msg: str) -> None:
        """Say what is wrong with what h11 has just raised over: 431 where headers are too large, else 400."""
        error = sys.exception()
        status = error.error_status_hint if isinstance(error, h11.RemoteProtocolError) else 400
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            # It has had an answer, or the beginning of one.
            self.transport.close()
            return
        if status == 431:
            refusal = ApiError(
                431, "The request's headers are too large. Send fewer of them, or shorter ones.", code="headers_too_large"
            )
        else:
            why = f"{error or msg}"[:200]
            refusal = ApiError(status, f"This is no HTTP that the server understands: {why}. Send HTTP/1.1.", code="invalid_http")
        self._refuse(refusal)

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: clients offer HTTP/2 as a matter of course, and are answered in HTTP/1.1."""

    def _refuse(self, refusal: ApiError) -> None:
        body = json.dumps(errors.body(refusal)).encode()
        headers = {
            "content-type": "application/json",
            "content-length": str(len(body)),
            "connection": "close",
            "x-request-id": request_id(),
        }
        reason = STATUS_PHRASES[refusal.status]
        head = h11.Response(status_code=refusal.status, headers=[*headers.items()], reason=reason)
        for event in (head, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        if self.cycle is not None and not self.cycle.response_complete:
            # Of the request that broke off in its body; the application sees its client gone.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._end()

    def handle_events(self) -> None:
        """Have the reply to a request that begins end the connection in a way that brings the reply to the client."""
        super().handle_events()
        if self.cycle is not None and self.cycle.transport is self.transport:
            self.cycle.transport = _Reply(self.transport, self._close)

    def _close(self) -> None:
        if self.conn.their_state is h11.SEND_BODY:
            self._end()
        else:
            self.transport.close()

    def _end(self) -> None:
        """Say that no more is coming, and throw away for a while what the client still sends."""
        self._answered = True
        self._stop()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._closing = self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _watch(self) -> None:
        if self._answered:
            return
        leftover = self.conn.our_state is h11.DONE and self.conn.their_state is h11.SEND_BODY
        if leftover != self._leftover:
            self._leftover, self._unread = leftover, 0
            self._stop()
        # The time counts from the first byte of a head, or from a reply that came early: a byte now and then buys no more of it.
        if self.conn.their_state is not h11.IDLE and not leftover:
            self._stop()
        elif self._closing is None:
            self._closing = self.loop.call_later(self.seconds, self.transport.close)

    def _stop(self) -> None:
        if self._closing:
            self._closing.cancel()
            self._closing = None

    def _look(self, size: int) -> None:
        """Look again when the time is over whether less than `size` bytes wait; if not, nobody takes them."""
        self._stalling = self.loop.call_later(self.seconds, self._stalled, size)

    def _stalled(self, size: int) -> None:
        left = self.transport.get_write_buffer_size()
        if left < size:
            self._look(left)
        else:
            # A mere close() would wait until all of it was taken.
            self.transport.abort()

    def _flows(self) -> None:
        if self._stalling:
            self._stalling.cancel()
            self._stalling = None


def protocol(seconds: float) -> type[PatientProtocol]:
    """The class for uvicorn's setting `http`."""
    return type("PatientProtocol", (PatientProtocol,), {"seconds": seconds})

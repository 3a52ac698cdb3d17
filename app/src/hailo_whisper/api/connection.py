"""A connection's beginning: who opens one and does not say what it wants is not waited for (slow-loris).

uvicorn itself waits for ever for the head of a request; what comes after it is read by api.upload, which has its own patience.
"""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


class PatientProtocol(H11Protocol):
    """Closes a connection whose request line and headers are not there within `head_seconds`."""

    head_seconds = 20.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._closing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Wait for the rest of a head that has begun."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for nothing but the rest of a next request that is there in part: uvicorn's keep-alive does all else."""
        super().on_response_complete()
        if self.conn.trailing_data[0]:
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop()
        super().connection_lost(exc)

    def _watch(self) -> None:
        # The time counts from the first byte of a head, or a byte now and then would buy more of it.
        if self.conn.their_state is not h11.IDLE:
            self._stop()
        elif self._closing is None:
            self._closing = self.loop.call_later(self.head_seconds, self.transport.close)

    def _stop(self) -> None:
        if self._closing:
            self._closing.cancel()
            self._closing = None


def protocol(head_seconds: float) -> type[PatientProtocol]:
    """The class for uvicorn's setting `http`."""
    return type("PatientProtocol", (PatientProtocol,), {"head_seconds": head_seconds})

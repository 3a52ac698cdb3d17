"""uvicorn's server, with an end that loses no request: it goes when everybody who was connected has had an answer."""

import asyncio
import contextlib
import logging
import signal
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

log = logging.getLogger(__name__)

DRAIN_SECONDS = 28.0
"""For the requests in flight. The unit's TimeoutStopSec is a little longer."""
LAST_SECONDS = 2.0
"""For telling those that were not done by then."""
SILENCE_SECONDS = 1.0
"""How long a connection may be silent before it is closed: its request may be on its way."""
TICK = 0.05

CLOSE = (b"connection", b"close")


class DrainingServer(uvicorn.Server):
    """Ends at SIGTERM and SIGINT, with status 0; at a second one at once."""

    def __init__(self, config: uvicorn.Config, leaving: Callable[[], None], give_up: Callable[[], None]) -> None:
        """`leaving` is called at the signal, `give_up` when there is no more time for what is still under way."""
        super().__init__(config)
        self._leaving = leaving
        self._give_up = give_up

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Listen to the signals. uvicorn itself would end the process by the same signal once more, after all is done."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked)
        yield

    def _asked(self) -> None:
        if self.should_exit:
            self.force_exit = True
            return
        self.should_exit = True
        self._leaving()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept nobody more, answer everybody who is there, and close.

        Further connections wait in the queue of the socket, if it is systemd's, for the next process; this one only lets go of it.
        """
        for server in self.servers:
            server.close()
        for sock in sockets or []:
            sock.close()
        began = time.monotonic()
        # What was accepted a moment ago gets its connection object within a few turns of the loop.
        await asyncio.sleep(TICK)
        self.server_state.default_headers = [*self.server_state.default_headers, CLOSE]
        for connection in self.server_state.connections:
            _close_after_reply(connection)
        log.info("draining: %d connections are open", len(self.server_state.connections))
        gave_up = False
        while self._busy() and not self.force_exit:
            passed = time.monotonic() - began
            if passed > SILENCE_SECONDS:
                for connection in [*self.server_state.connections]:
                    if _silent(connection):
                        connection.shutdown()
            if passed > DRAIN_SECONDS and not gave_up:
                gave_up = True
                log.error("%d requests are not done after %.0f s and are given up", len(self.server_state.tasks), passed)
                self._give_up()
            if passed > DRAIN_SECONDS + LAST_SECONDS:
                break
            await asyncio.sleep(TICK)
        for task in self.server_state.tasks:
            task.cancel()
        await self.lifespan.shutdown()

    def _busy(self) -> bool:
        return bool(self.server_state.connections or self.server_state.tasks)


def _close_after_reply(connection: Any) -> None:
    """Have the reply to the request in flight, if there is one, say that it is the connection's last."""
    cycle = connection.cycle
    if cycle is not None and not cycle.response_complete:
        cycle.keep_alive = False
        if not cycle.response_started:
            cycle.default_headers = [*cycle.default_headers, CLOSE]


def _silent(connection: Any) -> bool:
    """Whether nothing of a request is there: neither in work nor the beginning of one."""
    under_way = connection.cycle is not None and not connection.cycle.response_complete
    return not under_way and not connection.conn.trailing_data[0]

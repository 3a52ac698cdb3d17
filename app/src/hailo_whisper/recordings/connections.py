"""Connections to a server: how one is noticed whose other end has vanished."""

import socket
from typing import Any

PROBES = {
    socket.TCP_KEEPIDLE: 10,
    socket.TCP_KEEPINTVL: 5,
    socket.TCP_KEEPCNT: 3,
    # What was sent and never acknowledged is not asked about; without this, it would be sent again for a quarter of an hour.
    socket.TCP_USER_TIMEOUT: 30_000,
}
"""A machine that was switched off, or an address that has moved, says nothing: it is noticed within half a minute, as the gateway notices it of its machines."""


async def probed(event: str, info: dict[str, Any]) -> None:
    """The extension `trace` of a request: has the other end of a new connection be asked whether it is there, while nothing comes from it.

    Not by a transport's `socket_options`, because a client with a transport of its own passes over the proxies of the environment.
    """
    if event == "connection.connect_tcp.complete":
        connected = info["return_value"].get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in PROBES.items():
            connected.setsockopt(socket.IPPROTO_TCP, option, value)

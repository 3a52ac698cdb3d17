"""How a process of ours and its parent speak: the wire between them.

Each message is one JSON object behind its length, over a socket pair, and may carry file descriptors.
JSON, and not pickle, because a child that reads strangers' media is not to be trusted with what pickle lets a sender do.
Sound travels as a descriptor of shared memory (see speech.waveform), never in a message.
"""

import json
import os
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

HEADER = struct.Struct(">I")
# A batch has a descriptor for each request in it; the kernel takes 253 at once (SCM_MAX_FD).
MAX_FDS = 64
# A transcript of hours is a few MB; more than this is no message of ours.
MAX_MESSAGE = 256 * 1024 * 1024


@dataclass
class Message:
    """One message and the descriptors that came with it, which are the receiver's to close."""

    data: dict[str, Any]
    fds: list[int] = field(default_factory=list)


class Channel:
    """One end of the socket pair."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def send(self, data: Mapping[str, Any], fds: Sequence[int] = ()) -> None:
        """Send one message. Raises OSError when the other end is gone."""
        payload = json.dumps(data).encode()
        frame = HEADER.pack(len(payload)) + payload
        # The kernel delivers descriptors with the first byte of the call that carries them.
        sent = socket.send_fds(self._sock, [frame], list(fds)) if fds else 0
        self._sock.sendall(frame[sent:])

    def receive(self) -> Message:
        """Receive one message. Raises EOFError when the other end is gone, TimeoutError by the socket's time-out."""
        fds: list[int] = []
        try:
            header = self._exactly(HEADER.size, fds)
            (size,) = HEADER.unpack(header)
            if size > MAX_MESSAGE:
                raise EOFError(f"a message of {size} bytes is not one of ours")
            return Message(json.loads(self._exactly(size, fds)), fds)
        except BaseException:
            for fd in fds:
                os.close(fd)
            raise

    def _exactly(self, size: int, fds: list[int]) -> bytes:
        data = bytearray()
        while len(data) < size:
            chunk, new, _, _ = socket.recv_fds(self._sock, min(size - len(data), 1 << 20), MAX_FDS)
            fds.extend(new)
            # recv_fds of Python 3.11 takes flags, but does not pass MSG_CMSG_CLOEXEC on.
            for fd in new:
                os.set_inheritable(fd, False)
            if not chunk:
                raise EOFError("the other end is closed")
            data += chunk
        return bytes(data)

    def close(self) -> None:
        """Close this end."""
        self._sock.close()

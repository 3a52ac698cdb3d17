"""A gateway in front of servers, as small as one can be, that does to requests what a test wants to see survived."""

import contextlib
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

import httpx

Fault = Literal["reset", "502", "503", "429"]
SECONDS = 60


@dataclass
class Gateway:
    """What it does, and what it saw. `nodes` are tried in turn; one that does not answer is a 502, and then asked no more."""

    nodes: list[str]
    fault: Callable[[int], Fault | None]
    """What befalls the request of this number, counted from 0; None hands it on."""
    hold: int = 0
    """So many requests have to be in flight before the first is handed on."""
    url: str = ""
    asked: int = 0
    most: int = 0
    """Requests in flight at a time, at most."""
    faults: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    """Transcripts that were sent back whole, by the name of the recording."""
    times: dict[str, list[float]] = field(default_factory=dict)
    """When each recording was asked for."""
    _flying: int = 0
    _lock: threading.Condition = field(default_factory=threading.Condition)

    def enter(self, name: str) -> int:
        """A request has come. Gives its number."""
        with self._lock:
            number, self.asked = self.asked, self.asked + 1
            self._flying += 1
            self.most = max(self.most, self._flying)
            self.times.setdefault(name, []).append(time.monotonic())
            self._lock.notify_all()
            self._lock.wait_for(lambda: self.most >= self.hold, SECONDS)
            return number

    def leave(self) -> None:
        """It has its reply, or none."""
        with self._lock:
            self._flying -= 1


@contextlib.contextmanager
def failing_gateway(
    nodes: Sequence[str], fault: Callable[[int], Fault | None] = lambda _: None, *, hold: int = 0
) -> Iterator[Gateway]:
    """Run it. A 503 has a `Retry-After` of a second, a 429 of half of one."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self._read()
            name = body.partition(b'filename="')[2].partition(b'"')[0].decode()
            number = gateway.enter(name)
            try:
                self._answer(name, number, body)
            finally:
                gateway.leave()

        def _answer(self, name: str, number: int, body: bytes) -> None:
            befalls = gateway.fault(number)
            if befalls:
                gateway.faults[befalls] += 1
            if befalls == "reset":
                self._reset()
            elif befalls:
                self._reply(int(befalls), b'{"error": {"message": "Not now."}}', {"503": "1", "429": "0.5"}.get(befalls))
            else:
                self._hand_on(name, number, body)

        def _hand_on(self, name: str, number: int, body: bytes) -> None:
            node = gateway.nodes[number % len(gateway.nodes)]
            kept = {"content-type": self.headers["content-type"]}
            try:
                reply = httpx.post(f"{node}{self.path}", content=body, headers=kept, timeout=SECONDS, trust_env=False)
            except httpx.TransportError:
                gateway.faults["node"] += 1
                if len(gateway.nodes) > 1 and node in gateway.nodes:
                    gateway.nodes.remove(node)
                self._reply(502, b"<html>Bad Gateway</html>")
                return
            self._reply(reply.status_code, reply.content, reply.headers.get("retry-after"))
            if reply.status_code == 200:
                gateway.answered[name] += 1

        def _read(self) -> bytes:
            if length := self.headers.get("content-length"):
                return self.rfile.read(int(length))
            data = b""
            while size := int(self.rfile.readline(), 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return data

        def _reset(self) -> None:
            # With this, closing sends RST, as a machine does that has started anew.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True

        def _reply(self, status: int, data: bytes, retry_after: str | None = None) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            if retry_after:
                self.send_header("retry-after", retry_after)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        gateway = Gateway([*nodes], fault, hold, f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield gateway
        finally:
            server.shutdown()
            thread.join()

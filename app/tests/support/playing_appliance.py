"""A server that plays an appliance to a gateway: as ready as it is told, and well or badly behaved as the address asks."""

import base64
import contextlib
import hashlib
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

RESET = struct.pack("ii", 1, 0)
"""Of SO_LINGER: a close that is a reset, as that of a process which was killed."""


@dataclass
class Appliance:
    """What it does, and what it has seen."""

    port: int
    ready: bool = True
    full: bool = False
    seen: list[tuple[str, dict[str, str], int]] = field(default_factory=list)
    """Path, headers and length of the body of each request."""
    go: threading.Event = field(default_factory=threading.Event)
    gone: threading.Event = field(default_factory=threading.Event)
    """Set when a client of `/wait` went away."""

    @property
    def host(self) -> dict[str, Any]:
        """Its variables in the inventory."""
        return {"hailo_whisper_gateway_address": f"127.0.0.1:{self.port}", "hailo_whisper_keys": {"a": "sk-of-a-test"}}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    appliance: Appliance

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        if self.path.partition("?")[0] == "/health/ready":
            # A check is over at the status line.
            with contextlib.suppress(ConnectionError):
                self._reply(self._readiness(), b"{}")
            self.close_connection = True
            return
        if self.path == "/ws":
            self._websocket()
            return
        self._serve()

    do_POST = do_GET  # noqa: N815 (the name is http.server's)

    def _serve(self) -> None:
        path, _, argument = self.path.strip("/").partition("/")
        length = self._read(1000 if path == "part" else None)
        self._seen(length)
        match path:
            case "cut" | "part":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                self.close_connection = True
                self.connection.close()
            case "slow":
                time.sleep(float(argument))
                self._reply(200, b"{}")
            case "busy":
                self._reply(503, b'{"error": {"message": "loading"}}')
            case "stream":
                self._stream()
            case "wait":
                self.connection.settimeout(30)
                # It may close the connection or reset it.
                with contextlib.suppress(ConnectionResetError):
                    assert self.connection.recv(1) == b""
                self.appliance.gone.set()
                self.close_connection = True
            case _:
                self._reply(200, json.dumps({"length": length}).encode(), ("x-request-id", "req_played"))

    def _readiness(self) -> int:
        if not self.appliance.ready:
            return 503
        return int(self.path.partition("?full=")[2] or 200) if self.appliance.full else 200

    def _seen(self, length: int) -> None:
        self.appliance.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}, length))

    def _read(self, most: int | None) -> int:
        if self.headers.get("transfer-encoding") == "chunked":
            total = 0
            while size := int(self.rfile.readline(), 16):
                total += len(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return total
        length = int(self.headers.get("content-length", 0))
        return len(self.rfile.read(length if most is None else min(most, length)))

    def _reply(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (("content-type", "application/json"), ("content-length", str(len(body))), *headers):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in (b'data: {"delta": "first"}\n\n', b'data: {"delta": "second"}\n\n'):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
            self.wfile.flush()
            assert self.appliance.go.wait(30)
        self.wfile.write(b"0\r\n\r\n")

    def _websocket(self) -> None:
        self.send_response(101)
        self.send_header("connection", "upgrade")
        self.send_header("upgrade", "websocket")
        # By RFC 6455, and HAProxy looks.
        digest = hashlib.sha1(
            f"{self.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode(), usedforsecurity=False
        )
        self.send_header("sec-websocket-accept", base64.b64encode(digest.digest()).decode())
        self.end_headers()
        self.close_connection = True
        with contextlib.suppress(ConnectionResetError):
            while data := self.connection.recv(4096):
                self.connection.sendall(data.upper())


@contextmanager
def appliance() -> Iterator[Appliance]:
    """Run one, on loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Played", (Handler,), {}))
    server.daemon_threads = True
    played = Appliance(server.server_port)
    server.RequestHandlerClass.appliance = played  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield played
    finally:
        played.go.set()
        server.shutdown()
        server.server_close()
        thread.join()

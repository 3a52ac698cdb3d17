"""A server that replies as a test has written down, and remembers what it was asked."""

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Reply:
    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    hang_up: bool = False
    wait: threading.Event | None = None
    """Reply only when this is set."""


@dataclass
class Asked:
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Replier:
    """The last of the replies is given again and again."""

    url: str
    replies: list[Reply]
    asked: list[Asked] = field(default_factory=list)


def verbose(text: str = "Hello there.", **more: Any) -> dict[str, Any]:
    """verbose_json with one segment."""
    segment = {"id": 0, "seek": 0, "start": 0.5, "end": 2.0, "text": f" {text}", "tokens": [1], "temperature": 0.0}
    return {"task": "transcribe", "language": "german", "duration": 2.5, "text": text, "segments": [segment]} | more


@contextlib.contextmanager
def replying(*replies: Reply) -> Iterator[Replier]:
    """Run the server."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self._read()
            replier.asked.append(Asked(self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            reply = replier.replies[0] if len(replier.replies) == 1 else replier.replies.pop(0)
            if reply.wait:
                reply.wait.wait(60)
            if reply.hang_up:
                self.close_connection = True
                return
            data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in {"content-length": str(len(data)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def _read(self) -> bytes:
            if length := self.headers.get("content-length"):
                return self.rfile.read(int(length))
            data = b""
            while size := int(self.rfile.readline(), 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return data

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        replier = Replier(f"http://127.0.0.1:{server.server_address[1]}", [*replies])
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield replier
        finally:
            server.shutdown()
            thread.join()

"""A web server that plays the hub, a mirror or a publisher, well or badly: each request is answered as the script says."""

import contextlib
import http.server
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

Answer = Callable[["Request"], None]


@dataclass
class Request:
    """One request, and how to answer it."""

    handler: http.server.BaseHTTPRequestHandler
    data: bytes
    asked_from: int

    def begin(self, status: int, length: int | None = None, **headers: str) -> None:
        """The head of an answer."""
        self.handler.send_response(status)
        if length is not None:
            self.handler.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.end_headers()

    def write(self, data: bytes) -> None:
        """Some of the body."""
        with contextlib.suppress(OSError):
            self.handler.wfile.write(data)
            self.handler.wfile.flush()

    def break_off(self) -> None:
        """End the connection here."""
        self.handler.close_connection = True


def right(request: Request) -> None:
    """The file, or what is asked of it."""
    data, start = request.data, request.asked_from
    if start >= len(data) > 0 and start:
        request.begin(416, 0, Content_Range=f"bytes */{len(data)}")
    elif start:
        request.begin(206, len(data) - start, Content_Range=f"bytes {start}-{len(data) - 1}/{len(data)}", ETag='"v1"')
        request.write(data[start:])
    else:
        request.begin(200, len(data), ETag='"v1"')
        request.write(data)


def without_ranges(request: Request) -> None:
    """All of the file, whatever part was asked for."""
    request.begin(200, len(request.data), ETag='"v1"')
    request.write(request.data)


def cut(size: int) -> Answer:
    """The connection ends after so many bytes."""

    def answer(request: Request) -> None:
        start, rest = request.asked_from, request.data[request.asked_from :]
        if start:
            request.begin(206, len(rest), Content_Range=f"bytes {start}-{len(request.data) - 1}/{len(request.data)}", ETag='"v1"')
        else:
            request.begin(200, len(rest), ETag='"v1"')
        request.write(rest[:size])
        request.break_off()

    return answer


def stall(size: int, seconds: float) -> Answer:
    """Nothing more comes after so many bytes."""

    def answer(request: Request) -> None:
        request.begin(200, len(request.data), ETag='"v1"')
        request.write(request.data[:size])
        time.sleep(seconds)
        request.break_off()

    return answer


def drip(seconds: float) -> Answer:
    """A byte now and then, for so long."""

    def answer(request: Request) -> None:
        request.begin(200, len(request.data))
        end = time.monotonic() + seconds
        for at in range(len(request.data)):
            if time.monotonic() > end:
                break
            request.write(request.data[at : at + 1])
            time.sleep(0.05)
        request.break_off()

    return answer


def silent(seconds: float) -> Answer:
    """Not even a head."""

    def answer(request: Request) -> None:
        time.sleep(seconds)
        request.break_off()

    return answer


def status(code: int, **headers: str) -> Answer:
    """A refusal."""

    def answer(request: Request) -> None:
        request.begin(code, 0, **headers)

    return answer


def sends(data: bytes, **headers: str) -> Answer:
    """Other bytes, with 200."""

    def answer(request: Request) -> None:
        request.begin(200, len(data), **headers)
        request.write(data)

    return answer


def page(request: Request) -> None:
    """What a hotel's network answers to anything."""
    sends(b"<html><title>Welcome! Please sign in</title></html>", Content_Type="text/html; charset=utf-8")(request)


@dataclass
class Hub:
    """The server. `scripts` has the answers to come for a file, by its name; when they are used up, the file comes as it should."""

    address: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)
    scripts: dict[str, list[Answer]] = field(default_factory=dict)
    otherwise: Answer = right
    requests: list[str] = field(default_factory=list)
    """Each as `METHOD PATH` and, where a part was asked for, ` from N`."""
    headers: list[Mapping[str, str]] = field(default_factory=list)
    most: int = 0
    """The most requests that were answered at the same time."""
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def asked_for(self, name: str) -> list[str]:
        """The requests for a file."""
        return [line for line in self.requests if line.startswith("GET ") and line.split()[1].endswith(f"/{name}")]

    def handle(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        """Answer a request by the script."""
        path = handler.path.partition("?")[0]
        name = path.rpartition("/")[2]
        unit = handler.headers.get("Range", "")
        start = int(unit.removeprefix("bytes=").partition("-")[0]) if unit else 0
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
            self.requests.append(f"{handler.command} {path}" + (f" from {start}" if unit else ""))
            self.headers.append({key.lower(): value for key, value in handler.headers.items()})
            answers = self.scripts.get(name, [])
            answer = answers.pop(0) if answers and handler.command != "HEAD" else None
        try:
            request = Request(handler, self.files.get(name, b""), start)
            if answer is not None:
                answer(request)
            elif name not in self.files or handler.command == "HEAD":
                request.begin(404 if name not in self.files else 200, 0)
            else:
                self.otherwise(request)
        finally:
            with self._lock:
                self._now -= 1


@contextlib.contextmanager
def playing(
    files: Mapping[str, bytes], scripts: Mapping[str, list[Answer]] | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[Hub]:
    """Run a hub with these files, by their last names, whatever folder they are asked for in."""
    hub = Hub(files=files, scripts=dict(scripts or {}))

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            hub.handle(self)

        def do_GET(self) -> None:
            hub.handle(self)

        def do_CONNECT(self) -> None:
            hub.handle(self)

        def handle(self) -> None:
            # A client that likes the certificate no more than it should ends the connection in the middle of the handshake.
            with contextlib.suppress(OSError):
                super().handle()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class calls it so)
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        if tls:
            # Each handler's thread does its own handshake: one that is left in the middle holds up nobody.
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        hub.address = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
        yield hub
        server.shutdown()
        thread.join()

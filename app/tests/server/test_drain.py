"""The end of a server under load: whoever had connected gets an answer, and the rest waits for the next process."""

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest
from polling import LONGEST, until
from serving import LAUNCHER, PATH, ServerProcess, command, fields, free_port, server_process

from hailo_whisper.engines.warm_up import clip

Start = Callable[[Path], AbstractContextManager[ServerProcess]]
GET = b"GET /health HTTP/1.1\r\nHost: test\r\n\r\n"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A listening socket that outlives the servers on it, as systemd's does."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        yield listener


@pytest.fixture
def start(listener: socket.socket, model_folder: Path) -> Start:
    """Start a server on that socket; `folder` is for its configuration and its log."""

    def argv(config: Path) -> list[str]:
        return [sys.executable, "-c", LAUNCHER, str(listener.fileno()), *command(config)[1:]]

    def started(folder: Path) -> AbstractContextManager[ServerProcess]:
        folder.mkdir()
        port = listener.getsockname()[1]
        more = {"server": {"port": free_port()}}
        return server_process(folder, model_folder, argv=argv, more=more, port=port, pass_fds=(listener.fileno(),))

    return started


def _connected(listener: socket.socket) -> socket.socket:
    return socket.create_connection(listener.getsockname(), timeout=LONGEST)


def _head(sock: socket.socket) -> bytes:
    """Status line and headers of a reply, which is read to its end: the body may come after them."""
    head, body, length = b"", b"", 0
    while b"\r\n\r\n" not in head or len(body) < length:
        chunk = sock.recv(4096)
        assert chunk, f"the connection was closed after {head!r}"
        head += chunk
        if b"\r\n\r\n" in head:
            fields, _, body = head.partition(b"\r\n\r\n")
            length = int(fields.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    return head


def test_requests_under_way_on_their_connections_are_served(start: Start, listener: socket.socket, tmp_path: Path) -> None:
    with start(tmp_path / "one") as server:
        until(server.ready)
        fresh, used, half = (_connected(listener) for _ in range(3))
        with fresh, used, half:
            used.sendall(GET)
            assert b"connection: close" not in _head(used)
            half.sendall(GET[:20])
            # The three of them are accepted by now: the one that was answered came last but one, and accepting is in order.
            until(lambda: server.client.get("/health").status_code == 200)
            os.kill(server.pid, signal.SIGTERM)
            until(lambda: "draining" in server.log.read_text())
            half.sendall(GET[20:])
            for sock in (fresh, used):
                sock.sendall(GET)
            for sock in (fresh, used, half):
                head = _head(sock)
                assert head.startswith(b"HTTP/1.1 200 OK\r\n"), head
                assert b"connection: close" in head
        assert server.process.wait(LONGEST) == 0


def test_silent_connections_are_closed_after_a_while(start: Start, listener: socket.socket, tmp_path: Path) -> None:
    with start(tmp_path / "one") as server:
        until(server.ready)
        with _connected(listener) as silent:
            until(lambda: server.client.get("/health").status_code == 200)
            os.kill(server.pid, signal.SIGTERM)
            assert silent.recv(1) == b""
        assert server.process.wait(LONGEST) == 0


def test_the_reply_to_a_request_in_flight_says_that_it_is_the_last(
    start: Start, listener: socket.socket, tmp_path: Path, model_folder: Path
) -> None:
    with start(tmp_path / "one") as server:
        until(server.ready)
        replies: list[httpx.Response] = []
        thread = threading.Thread(target=lambda: replies.append(server.transcribe(prompt="wait go")))
        thread.start()
        until((model_folder / "waiting").exists)
        os.kill(server.pid, signal.SIGTERM)
        until(lambda: "draining" in server.log.read_text())
        (model_folder / "go").touch()
        thread.join(LONGEST)
        assert (replies[0].status_code, replies[0].headers["connection"]) == (200, "close")
        assert server.process.wait(LONGEST) == 0


def test_a_restart_under_load_loses_no_request(start: Start, listener: socket.socket, tmp_path: Path, clip_words: str) -> None:
    """As `systemctl restart` does it: the old process ends, the next one is started on the same socket."""
    clients, each = 4, 50
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    answers: list[object] = []

    def load(keep: bool) -> None:
        limits = httpx.Limits(max_keepalive_connections=None if keep else 0)
        with httpx.Client(base_url=url, timeout=120, limits=limits, trust_env=False) as client:
            for _ in range(each):
                try:
                    response = client.post(PATH, files={"file": ("clip.wav", clip())}, data=fields())
                    answers.append((response.status_code, response.json().get("text")))
                except httpx.HTTPError as error:
                    answers.append(repr(error))

    with start(tmp_path / "one") as first:
        until(first.ready)
        threads = [threading.Thread(target=load, args=(number % 2 == 0,)) for number in range(clients)]
        for thread in threads:
            thread.start()
        until(lambda: len(answers) > 20)
        os.kill(first.pid, signal.SIGTERM)
        assert first.process.wait(LONGEST) == 0
        before = len(answers)
    with start(tmp_path / "two"):
        for thread in threads:
            thread.join(120)
    assert before < clients * each, "there were requests for the second one"
    assert answers == [(200, clip_words)] * (clients * each)


def test_a_request_that_is_not_done_in_time_is_told_so(start: Start, tmp_path: Path, model_folder: Path) -> None:
    """What the server does when 28 s are over, without waiting for them: a second of them is enough to see it."""
    short = (
        "import hailo_whisper.cli.drain as drain; drain.DRAIN_SECONDS = 1.0\n"
        "import sys; from hailo_whisper.cli import main; sys.exit(main(sys.argv[1:]))"
    )

    def argv(config: Path) -> list[str]:
        return [sys.executable, "-c", short, *command(config)[3:]]

    with server_process(tmp_path, model_folder, argv=argv) as server:
        until(server.ready)
        replies: list[httpx.Response] = []
        thread = threading.Thread(target=lambda: replies.append(server.transcribe(prompt="wait never")))
        thread.start()
        until((model_folder / "waiting").exists)
        os.kill(server.pid, signal.SIGTERM)
        thread.join(LONGEST)
        (reply,) = replies
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "5")
        assert reply.json()["error"]["message"] == "The server is shutting down. Send it again in a moment."
        assert server.process.wait(LONGEST) == 0

"""What is not yet, or no longer, a request: it is refused as everything is, and never keeps the server busy."""

import json
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import media
import numpy as np
import pytest
from polling import LONGEST, until
from serving import PATH, ServerProcess, command, server_process

from hailo_whisper.engines.warm_up import clip

MIB = 1024 * 1024


def connect(server: ServerProcess) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.client.base_url.port or 0), timeout=LONGEST)


def answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of what comes until the connection is closed."""
    with connection.makefile("rb") as stream:
        head, _, body = stream.read().partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(first.split()[1]), headers, body


def error(connection: socket.socket, status: int) -> dict[str, Any]:
    found, headers, body = answer(connection)
    assert found == status, body
    assert headers["content-type"] == "application/json"
    assert headers["connection"] == "close"
    assert headers["x-request-id"].startswith("req_")
    assert int(headers["content-length"]) == len(body)
    detail = json.loads(body)["error"]
    assert set(detail) == {"message", "type", "param", "code"}
    assert detail["type"] == "invalid_request_error"
    return dict(detail)


@pytest.mark.parametrize(
    "sent",
    [
        b"how do you do?\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(128, 256)) * 4 + b"\r\n\r\n",
        b"GET /health HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /health HTTP/1.1\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: test\r\nContent-Length: many\r\n\r\n",
        b"GET /h\xc3\xa4lth HTTP/1.1\r\nHost: test\r\n\r\n",
        b"POST /v1/models HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    ],
    ids=["words", "tls", "no colon", "no host", "length", "umlaut", "encoding"],
)
def test_what_is_no_http(server: ServerProcess, sent: bytes) -> None:
    with connect(server) as connection:
        connection.sendall(sent)
        status = 501 if b"gzip" in sent else 400
        found, headers, body = answer(connection)
        assert (found, headers["content-type"], headers["connection"]) == (status, "application/json", "close")
        detail = json.loads(body)["error"]
        assert detail["message"].startswith("This is no HTTP that the server understands: ")
        assert detail["code"] == "invalid_http"


@pytest.mark.parametrize("name", [b"X-Large", b"Authorization"])
def test_headers_of_1_mb(server: ServerProcess, name: bytes) -> None:
    with connect(server) as connection:
        connection.sendall(b"GET /v1/models HTTP/1.1\r\nHost: test\r\n" + name + b": " + b"x" * MIB + b"\r\n\r\n")
        found = error(connection, 431)
    assert found["message"] == "The request's headers are too large. Send fewer of them, or shorter ones."
    assert found["code"] == "headers_too_large"


def test_a_hundred_thousand_headers(server: ServerProcess) -> None:
    with connect(server) as connection:
        connection.sendall(b"GET /v1/models HTTP/1.1\r\nHost: test\r\n" + b"X: y\r\n" * 100_000 + b"\r\n")
        error(connection, 431)


def test_a_chunk_that_is_none_breaks_its_request_off(server: ServerProcess) -> None:
    head = f"POST {PATH} HTTP/1.1\r\nHost: test\r\nContent-Type: multipart/form-data; boundary=x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with connect(server) as connection:
        connection.sendall(head.encode() + b"5\r\n--x\r\n\r\n")
        time.sleep(0.1)
        connection.sendall(b"five\r\n")
        assert error(connection, 400)["code"] == "invalid_http"
    assert "Traceback" not in server.log.read_text()


def test_http_1_0(server: ServerProcess) -> None:
    with connect(server) as connection:
        connection.sendall(b"GET /health HTTP/1.0\r\n\r\n")
        status, headers, body = answer(connection)
    assert (status, json.loads(body)["status"]) == (200, "ok")
    assert headers["connection"] == "close"


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "DELETE", "BREW"])
@pytest.mark.parametrize("path", ["/health", "/v1/models", "/v1/models/base", PATH, "/v1/audio/translations", "/openapi.json"])
def test_a_method_that_an_address_does_not_take(server: ServerProcess, method: str, path: str) -> None:
    response = server.client.request(method, path)
    if method == "HEAD" and path in ("/health", "/openapi.json"):
        assert response.status_code == 200
        return
    assert response.status_code == 405
    assert response.headers["content-type"] == "application/json"
    takes = "POST" if "/audio/" in path else "GET"
    assert takes in response.headers["allow"]
    if method != "HEAD":
        assert response.json()["error"]["message"] == f"This address does not take that method. Use {response.headers['allow']}."


@pytest.mark.parametrize("path", ["/", "/health/", f"{PATH}/", "/v1", "//v1/models", "/v1/audio/speech", "/%ff", "/v1/../health"])
def test_an_address_that_there_is_not(server: ServerProcess, path: str) -> None:
    with connect(server) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode())
        status, headers, body = answer(connection)
    assert (status, headers["content-type"]) == (404, "application/json")
    assert json.loads(body)["error"]["code"] == "unknown_url"
    assert "location" not in headers


@pytest.fixture
def impatient(tmp_path: Path, model_folder: Path) -> Iterator[ServerProcess]:
    """A server that keeps a silent connection for a second, and waits no longer for a client that takes nothing."""
    short = (
        "import hailo_whisper.cli.serve as serve; serve.KEEP_ALIVE_SECONDS = 1\n"
        "import sys; from hailo_whisper.cli import main; sys.exit(main(sys.argv[1:]))"
    )

    def argv(config: Path) -> list[str]:
        return [sys.executable, "-c", short, *command(config)[3:]]

    with server_process(tmp_path, model_folder, argv=argv, more={"limits": {"stall_seconds": 1}}) as server:
        until(server.ready)
        yield server


def test_a_kept_connection_that_goes_silent_is_closed(impatient: ServerProcess) -> None:
    with connect(impatient) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: test\r\n\r\n")
        status, headers, _ = answer(connection)
    assert status == 200
    assert "connection" not in headers, "it was the server's own choice to close it"


def send_slowly(connection: socket.socket, data: bytes) -> None:
    """A byte each tenth of a second."""
    for i in range(len(data)):
        connection.sendall(data[i : i + 1])
        time.sleep(0.1)


@pytest.mark.parametrize("path", ["/nothing", "/health"])
def test_a_request_that_goes_on_after_its_reply_is_not_listened_to_for_ever(impatient: ServerProcess, path: str) -> None:
    with connect(impatient) as connection:
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: 100000\r\n\r\n".encode())
        assert connection.recv(20).startswith(b"HTTP/1.1 40")
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            send_slowly(connection, b"x" * int(LONGEST * 10))


def test_a_request_that_ends_after_its_reply_is_followed_by_the_next(impatient: ServerProcess) -> None:
    with connect(impatient) as connection:
        connection.sendall(b"POST /nothing HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\n")
        first = b""
        while not first.endswith(b"}}"):
            first += connection.recv(65536)
        assert first.startswith(b"HTTP/1.1 404")
        connection.sendall(b"12345GET /health HTTP/1.1\r\nHost: test\r\n\r\n")
        assert answer(connection)[0] == 200


def test_of_a_request_that_was_answered_no_more_is_taken_than_of_an_upload(server: ServerProcess) -> None:
    with connect(server) as connection:
        connection.sendall(b"POST /nothing HTTP/1.1\r\nHost: test\r\nContent-Length: 99999999999\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 404")
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            connection.sendall(bytes(256 * MIB))


def test_who_wants_no_second_reply_gets_the_first_before_all_was_sent(server: ServerProcess) -> None:
    """As a proxy asks, for which a reset of the connection would take along the reply that it has not read yet."""
    head = b"POST /nothing HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: 20000000\r\n\r\n"
    with connect(server) as connection:
        connection.sendall(head + bytes(1_000_000))
        status, headers, body = answer(connection)
        assert (status, headers["connection"], int(headers["content-length"])) == (404, "close", len(body))
        for _ in range(19):
            connection.sendall(bytes(1_000_000))


def test_who_has_the_last_reply_and_goes_on_is_not_listened_to_for_ever(server: ServerProcess) -> None:
    with connect(server) as connection:
        connection.sendall(b"POST /nothing HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: 99999999999\r\n\r\n")
        assert answer(connection)[0] == 404
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            send_slowly(connection, b"x" * int(LONGEST * 10))


def test_who_offers_another_protocol_is_answered_in_this_one(server: ServerProcess) -> None:
    offer = {"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c", "http2-settings": "AAMAAABkAAQAAP__"}
    assert server.client.get("/health", headers=offer).status_code == 200
    assert "pgrade" not in server.log.read_text()


@pytest.mark.parametrize("charset", ["utf-7", "unicode_escape"])
def test_a_name_with_half_a_character_can_be_told_of(server: ServerProcess, charset: str) -> None:
    name = "+2AA-" if charset == "utf-7" else "\\ud800"
    body = f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + b"\xff\xfe\r\n--x--\r\n"
    reply = server.client.post(
        PATH, content=body, headers={"content-type": f"multipart/form-data; boundary=x; charset={charset}"}
    )
    assert reply.status_code == 400
    assert reply.json()["error"]["message"] == "The field `?` is not UTF-8. Send its text in that encoding."


def test_a_client_that_takes_nothing_of_a_long_reply_is_let_go(impatient: ServerProcess) -> None:
    """Of a reply of some 4 MB, the sockets' own buffers take a part, and the rest waits in the server's memory."""
    body = b"".join(
        f'--x\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value + b"\r\n"
        for name, more, value in (
            ("model", "", b"base"),
            ("prompt", "", b"say " + b"word " * 12_000),
            ("include[]", "", b"logprobs"),
            ("file", '; filename="a.wav"', media.wav(np.frombuffer(clip()[44:], np.int16))),
        )
    )
    body += b"--x--\r\n"
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: t\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(LONGEST)
        slow.connect(("127.0.0.1", impatient.client.base_url.port or 0))
        slow.sendall(head.encode() + body)
        assert slow.recv(20).startswith(b"HTTP/1.1 200 OK")
        assert _is_held(slow)
        until(lambda: not _is_held(slow))


def _is_held(connection: socket.socket) -> bool:
    """Whether a process has the other end of a connection to this machine, by the kernel's table (proc_net_tcp): one that was let go has no inode."""
    here, there = (f":{address[1]:04X}" for address in (connection.getsockname(), connection.getpeername()))
    ends = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()]
    return any(end[1].endswith(there) and end[2].endswith(here) and end[9] != "0" for end in ends[1:])

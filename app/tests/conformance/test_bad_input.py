"""What careless and hostile clients send, as bytes on a real connection: the status, the four keys, and a server that goes on."""

import contextlib
import http.client
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import PATH, ServerProcess, fields

MIB = 1024 * 1024
TRANSLATIONS = "/v1/audio/translations"
BOTH = pytest.mark.parametrize("path", [PATH, TRANSLATIONS])
RECORDING = b"Example data"


@pytest.fixture(autouse=True)
def none_the_worse(server: ServerProcess) -> Iterator[None]:
    """After whatever a test sent, the same process answers the next request."""
    before = server.pid, server.worker
    yield
    assert server.transcribe(RECORDING).status_code == 200
    assert (server.pid, server.worker) == before


def error(status: int, content_type: str | None, body: bytes, expected: int) -> dict[str, Any]:
    assert status == expected, body
    assert content_type == "application/json"
    parsed = json.loads(body)
    assert set(parsed) == {"error"}
    assert set(parsed["error"]) == {"message", "type", "param", "code"}
    assert parsed["error"]["message"], "it says what to do"
    return dict(parsed["error"])


def refused(reply: httpx.Response, status: int = 400) -> dict[str, Any]:
    assert reply.headers["x-request-id"].startswith("req_")
    return error(reply.status_code, reply.headers["content-type"], reply.content, status)


def connect(server: ServerProcess) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.client.base_url.port or 0), timeout=30)


def answer(connection: socket.socket) -> tuple[http.client.HTTPResponse, bytes]:
    reply = http.client.HTTPResponse(connection)
    reply.begin()
    return reply, reply.read()


def multipart(*parts: tuple[str, bytes], end: bytes = b"--x--\r\n") -> bytes:
    """A body of parts, each with the parameters of its Content-Disposition after `form-data`; the boundary is x."""
    whole = b"".join(b"--x\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % (name.encode(), value) for name, value in parts)
    return whole + end


def post(server: ServerProcess, body: bytes, path: str = PATH) -> httpx.Response:
    return server.client.post(path, content=body, headers={"content-type": "multipart/form-data; boundary=x"})


FILE = ('name="file"; filename="a.wav"', RECORDING)
MODEL = ('name="model"', b"whisper-1")


@BOTH
@pytest.mark.rule("fields.broken")
def test_two_files(server: ServerProcess, path: str) -> None:
    assert refused(post(server, multipart(FILE, FILE, MODEL), path))["param"] == "file"


@BOTH
@pytest.mark.parametrize("field", ["model", "prompt", "response_format", "temperature", "language"])
@pytest.mark.rule("fields.broken")
def test_a_field_twice(server: ServerProcess, path: str, field: str) -> None:
    value = {"response_format": b"json", "temperature": b"0", "language": b"en", "model": b"whisper-1"}.get(field, b"x")
    once = [] if field == "model" else [MODEL]
    found = refused(post(server, multipart(FILE, *once, (f'name="{field}"', value), (f'name="{field}"', value)), path))
    assert found["param"] == field


@BOTH
@pytest.mark.parametrize("field", ["model", "prompt", "language"])
@pytest.mark.rule("fields.broken")
def test_a_field_that_is_not_utf_8(server: ServerProcess, path: str, field: str) -> None:
    once = [] if field == "model" else [MODEL]
    found = refused(post(server, multipart(FILE, *once, (f'name="{field}"', b"caf\xe9")), path))
    assert found["param"] == field
    assert "UTF-8" in found["message"]


@BOTH
@pytest.mark.rule("prompt")
def test_a_prompt_of_a_megabyte(server: ServerProcess, path: str) -> None:
    assert refused(post(server, multipart(FILE, MODEL, ('name="prompt"', b"x" * MIB)), path))["param"] == "prompt"


@BOTH
@pytest.mark.parametrize("temperature", ["1.5", "-1", "hot", "nan", "inf", "0,5"])
@pytest.mark.rule("temperature")
def test_a_temperature_that_there_is_not(server: ServerProcess, path: str, temperature: str) -> None:
    found = refused(server.client.post(path, files={"file": RECORDING}, data=fields(temperature=temperature)))
    assert found["param"] == "temperature"
    assert temperature in found["message"]


@pytest.mark.rule("language", "response_format", "response_format.diarized_json", "timestamp_granularities[]", "include[]")
@pytest.mark.rule("timestamp_granularities[].formats", "stream.formats", "known_speakers", "chunking_strategy")
@pytest.mark.parametrize(
    ("more", "param", "code"),
    [
        ({"language": "xx"}, "language", "invalid_language_format"),
        ({"timestamp_granularities[]": "sentence", "response_format": "verbose_json"}, "timestamp_granularities[]", None),
        ({"stream": "true", "response_format": "srt"}, "stream", "unsupported_value"),
        ({"stream": "true", "response_format": "vtt"}, "stream", "unsupported_value"),
        ({"stream": "true", "response_format": "verbose_json"}, "stream", "unsupported_value"),
        ({"stream": "perhaps"}, "stream", None),
        ({"response_format": "diarized_json"}, "response_format", "unsupported_value"),
        ({"response_format": "docx"}, "response_format", "unsupported_value"),
        ({"include[]": "everything"}, "include[]", None),
        ({"include[]": "logprobs", "response_format": "srt"}, "include[]", None),
        ({"timestamp_granularities[]": "word"}, "timestamp_granularities[]", None),
        ({"known_speaker_names[]": "ada"}, "known_speaker_names[]", "unsupported_value"),
        ({"known_speaker_references[]": "data:audio/wav;base64,AAAA"}, "known_speaker_references[]", "unsupported_value"),
        ({"chunking_strategy": "manual"}, "chunking_strategy", "unsupported_value"),
    ],
    ids=lambda value: "-".join(f"{name}={given}" for name, given in value.items()) if isinstance(value, dict) else "",
)
def test_a_field_that_cannot_be_meant(server: ServerProcess, more: dict[str, str], param: str, code: str | None) -> None:
    found = refused(server.transcribe(RECORDING, **more))
    assert found["param"] == param
    # Not every code is one of the contract's; where it names one, it is that.
    assert code is None or found["code"] == code


@BOTH
@pytest.mark.rule("fields.broken")
def test_a_body_that_is_cut_off(server: ServerProcess, path: str) -> None:
    whole = multipart(FILE, MODEL)
    for length in (10, len(whole) // 2, len(whole) - 20):
        refused(post(server, whole[:length], path))


@BOTH
def test_a_connection_that_is_cut_off(server: ServerProcess, path: str) -> None:
    connection = connect(server)
    connection.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n".encode())
    connection.sendall(b"Content-Length: 1000\r\n\r\n" + multipart(FILE, end=b""))
    connection.shutdown(socket.SHUT_WR)
    # There may be an answer, or none: nobody can be sure that the client still reads.
    with connection, connection.makefile("rb") as stream:
        said = stream.read()
    assert b" 200 " not in said.partition(b"\r\n")[0]


@pytest.mark.parametrize(
    "name",
    [
        b"../../../etc/passwd",
        b"/dev/null",
        b"..\\\\..\\\\boot.ini",
        b"a\x00.wav",
        b"a\x1b[2J\x07.wav",
        b"a\tb.wav",
        "ü😀\u202e.wav".encode(),
    ],
    ids=["up", "absolute", "backslashes", "nul", "escape", "tab", "unicode"],
)
def test_a_filename_is_only_a_name(server: ServerProcess, name: bytes) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\n%s\r\n' % (name, RECORDING) + multipart(
        MODEL
    )
    reply = post(server, body)
    assert reply.status_code in (200, 400), reply.text
    if reply.status_code == 400:
        refused(reply)
    log = server.log.read_bytes()
    assert b"\x1b" not in log
    assert b"etc/passwd" not in log


@pytest.mark.parametrize("start", ["GET /v1/models HTTP/1.1", f"POST {PATH} HTTP/1.1"])
@pytest.mark.rule("errors.shape")
def test_headers_of_a_megabyte(server: ServerProcess, start: str) -> None:
    with connect(server) as connection:
        head = f"{start}\r\nHost: x\r\nX-Filler: {'y' * MIB}\r\n\r\n".encode()
        # It may have heard enough before the end; what it said to that can still be read.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(head)
        reply, body = answer(connection)
    found = error(reply.status, reply.getheader("content-type"), body, 431)
    assert found["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"hello\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n"]
)
@pytest.mark.rule("errors.shape")
def test_what_is_no_http(server: ServerProcess, sent: bytes) -> None:
    with connect(server) as connection:
        connection.sendall(sent + b"\r\n\r\n")
        reply, body = answer(connection)
    error(reply.status, reply.getheader("content-type"), body, 400)


def test_http_1_0(server: ServerProcess) -> None:
    body = multipart(FILE, MODEL)
    with connect(server) as connection:
        connection.sendall(
            f"POST {PATH} HTTP/1.0\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        )
        connection.sendall(body)
        reply, said = answer(connection)
        assert reply.status == 200
        assert json.loads(said)["text"]
        assert connection.recv(1) == b"", "it closes, as HTTP/1.0 does"


def test_http_1_0_and_a_stream(server: ServerProcess) -> None:
    body = multipart(FILE, MODEL, ('name="stream"', b"true"))
    with connect(server) as connection:
        connection.sendall(
            f"POST {PATH} HTTP/1.0\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        )
        connection.sendall(body)
        reply, said = answer(connection)
    assert reply.status == 200
    assert reply.getheader("transfer-encoding") is None, "which HTTP/1.0 has not"
    assert b"transcript.text.done" in said


def test_a_silent_connection_that_is_kept_open_keeps_nobody_waiting(server: ServerProcess) -> None:
    silent = []
    try:
        for _ in range(50):
            connection = connect(server)
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert answer(connection)[0].status == 200
            silent.append(connection)
        began = time.monotonic()
        assert server.transcribe(RECORDING).status_code == 200
        assert time.monotonic() - began < 10
        assert len([*Path(f"/proc/{server.pid}/fd").iterdir()]) >= 50, "they are all still there"
    finally:
        for connection in silent:
            connection.close()


def test_a_client_that_wants_no_answer_to_a_request_of_many(server: ServerProcess) -> None:
    """Pipelined requests are answered in their order, and one that is left does no harm to the next connection."""
    with connect(server) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        assert answer(connection)[0].status == 200

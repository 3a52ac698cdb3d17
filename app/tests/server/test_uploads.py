"""How a recording arrives: slowly, not at all, in odd encodings, on machines without room on a disk."""

import base64
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from polling import LONGEST, until
from serving import PATH, ServerProcess, command, server_process

STALL = 1.0
HEAD = (
    f"POST {PATH} HTTP/1.1\r\nHost: test\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000000\r\n\r\n"
    '--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF'
).encode()


@pytest.fixture(scope="module")
def impatient_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("impatient")
    model = folder / "model"
    model.mkdir()
    for name in ("model.bin", "config.json", "tokenizer.json"):
        (model / name).write_text("{}")
    with server_process(folder, model, more={"limits": {"stall_seconds": STALL}}) as server:
        until(server.ready)
        yield server


def _connect(server: ServerProcess) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.client.base_url.port or 0), timeout=LONGEST)


def _everything(connection: socket.socket) -> bytes:
    with connection, connection.makefile("rb") as reply:
        return reply.read()


def test_an_upload_that_stands_still_is_given_up(impatient_server: ServerProcess) -> None:
    connection = _connect(impatient_server)
    connection.sendall(HEAD)
    reply = _everything(connection)
    assert reply.startswith(b"HTTP/1.1 408 ")
    assert (
        b"Less than 32 KiB of the upload came in 1 seconds, and it was given up. Check the network, and send it again." in reply
    )
    assert b'"code":"upload_stalled"' in reply
    assert impatient_server.transcribe().status_code == 200


def test_a_byte_now_and_then_does_not_keep_an_upload_going(impatient_server: ServerProcess) -> None:
    connection = _connect(impatient_server)
    connection.sendall(HEAD)
    connection.settimeout(STALL / 10)
    reply = b""
    end = time.monotonic() + LONGEST
    while not reply:
        assert time.monotonic() < end
        connection.sendall(b"x")
        try:
            reply = connection.recv(1000)
        except TimeoutError:
            continue
    assert reply.startswith(b"HTTP/1.1 408 ")
    connection.close()


def test_a_slow_upload_that_goes_on_is_taken(impatient_server: ServerProcess, clip_wav: bytes, clip_words: str) -> None:
    body = HEAD.partition(b"\r\n\r\n")[2].removesuffix(b"RIFF") + clip_wav
    body += b'\r\n--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nbase\r\n--x--\r\n'
    head = HEAD.partition(b"\r\n\r\n")[0].replace(b"1000000", str(len(body)).encode()) + b"\r\nConnection: close\r\n\r\n"
    connection = _connect(impatient_server)
    connection.sendall(head)
    # Twice as long as the server waits for the next part of it.
    for at in range(0, len(body), len(body) // 32):
        connection.sendall(body[at : at + len(body) // 32])
        time.sleep(STALL / 16)
    reply = _everything(connection)
    assert reply.startswith(b"HTTP/1.1 200 ")
    assert clip_words.encode() in reply


@pytest.mark.parametrize("begun", [b"", b"GET /health HT", b"GET /health HTTP/1.1\r\nHost: te"])
def test_a_request_that_never_gets_to_its_point_is_hung_up_on(impatient_server: ServerProcess, begun: bytes) -> None:
    connection = _connect(impatient_server)
    connection.sendall(begun)
    assert _everything(connection) == b""


def test_a_head_that_comes_byte_by_byte_is_hung_up_on(impatient_server: ServerProcess) -> None:
    connection = _connect(impatient_server)
    began = time.monotonic()
    try:
        for byte in b"GET /health HTTP/1.1\r\n" + b"X-Patience: yes\r\n" * 1000:
            connection.sendall(bytes([byte]))
            time.sleep(STALL / 20)
            assert time.monotonic() < began + LONGEST, "nobody hung up"
    except ConnectionError:
        pass
    connection.close()


def test_a_connection_is_kept_for_the_next_request(impatient_server: ServerProcess) -> None:
    connection = _connect(impatient_server)
    with connection, connection.makefile("rb") as reply:
        for _ in range(3):
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: test\r\n\r\n")
            assert reply.readline() == b"HTTP/1.1 200 OK\r\n"
            while reply.readline() != b"\r\n":
                pass
            reply.read1()
            # Longer than a head may take: between requests it is uvicorn's keep-alive that counts, of 5 s.
            time.sleep(STALL * 1.5)


def test_an_encoded_part_is_no_sound(server: ServerProcess, clip_wav: bytes) -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nbase\r\n'
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
        + base64.encodebytes(clip_wav)
        + b"\r\n--x--\r\n"
    )
    response = server.client.post(PATH, content=body, headers={"content-type": "multipart/form-data; boundary=x"})
    assert response.status_code == 400
    assert response.json()["error"]["message"].startswith("Invalid file format.")


def test_a_file_of_another_name_is_left_out(server: ServerProcess, clip_wav: bytes, clip_words: str) -> None:
    files = [("other", ("a", b"x")), ("file", ("clip.wav", clip_wav)), ("model", ("b", b"y"))]
    response = server.client.post(PATH, files=files, data={"model": "base"})
    assert response.json()["text"] == clip_words


def test_the_memory_of_an_upload_is_given_back(server: ServerProcess) -> None:
    def descriptors() -> int:
        return len(list(Path(f"/proc/{server.pid}/fd").iterdir()))

    assert server.transcribe().status_code == 200
    before = descriptors()
    for media in (None, b"", b"text", b"\0" * (26 * 1024 * 1024)):
        server.transcribe(media)
    server.transcribe(language="Klingon")
    server.client.post(PATH, files=[("file", ("a.wav", b"x"))] * 2)
    server.client.post(
        PATH, content=HEAD.partition(b"\r\n\r\n")[2] + b"\xff", headers={"content-type": "multipart/form-data; boundary=x"}
    )
    server.client.post(PATH, content=HEAD.partition(b"\r\n\r\n")[2], headers={"content-type": "multipart/form-data; boundary=x"})
    until(lambda: descriptors() <= before)


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="only root can take a server's disks away")
def test_no_room_on_any_disk(tmp_path: Path, model_folder: Path, clip_wav: bytes, clip_words: str) -> None:
    """/dev/shm has 64 KiB and the folder for temporary files none at all; the recording is larger than either."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    script = (
        'mount -t tmpfs -o size=64k tmpfs /dev/shm && mount -t tmpfs -o size=4k tmpfs "$TMPDIR" && '
        '{ head -c 4096 /dev/zero > "$TMPDIR/full" || :; } && exec "$@"'
    )

    def argv(config: Path) -> list[str]:
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", *command(config)]

    with server_process(tmp_path, model_folder, argv=argv, environ={"TMPDIR": str(temporary)}) as server:
        until(server.ready)
        assert server.transcribe(clip_wav).json()["text"] == clip_words
        full = subprocess.run(
            [
                "nsenter",
                "--mount",
                f"--target={server.pid}",
                sys.executable,
                "-c",
                f"open('{temporary}/x', 'wb', 0).write(b'x' * 99)",
            ],
            capture_output=True,
            text=True,
            timeout=LONGEST,
            check=False,
        )
        assert "No space left on device" in full.stderr

"""The health check of the image: an exit status, and the reason."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from hailo_whisper import settings
from hailo_whisper.service import alive


class Answers(BaseHTTPRequestHandler):
    status, body = 200, b'{"status": "ready", "reason": null}'

    def do_GET(self) -> None:
        assert self.path == "/health/ready"
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        pass


class Sixth(HTTPServer):
    address_family = socket.AF_INET6


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the image, or one that was mounted over it."""
    path = tmp_path / "hailo-whisper.yaml"
    path.touch()
    monkeypatch.setattr(settings, "SOURCE", path)
    return path


@contextmanager
def listens(kind: type[HTTPServer], host: str) -> Iterator[tuple[type[Answers], int]]:
    """A server that answers, and its port."""

    class Mine(Answers):
        pass

    listening = kind((host, 0), Mine)
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    yield Mine, listening.server_port
    listening.shutdown()
    thread.join()
    listening.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, file: Path) -> Iterator[type[Answers]]:
    with listens(HTTPServer, "127.0.0.1") as (answers, port):
        monkeypatch.setenv("HAILO_WHISPER_SERVER_PORT", str(port))
        yield answers


@pytest.mark.parametrize(
    ("kind", "bound", "host"),
    [
        (HTTPServer, "127.0.0.2", "127.0.0.2"),
        (HTTPServer, "0.0.0.0", "0.0.0.0"),
        (Sixth, "::1", "::1"),
        (Sixth, "::", "::"),
    ],
)
def test_it_asks_where_the_file_says_that_it_listens(
    file: Path, capsys: pytest.CaptureFixture[str], kind: type[HTTPServer], bound: str, host: str
) -> None:
    with listens(kind, bound) as (_, port):
        file.write_text(f'server: {{host: "{host}", port: {port}}}')
        assert alive.main() == 0, capsys.readouterr().out


def test_a_file_that_the_server_does_not_take_either(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("server: {prot: 8000}")
    assert alive.main() == 1
    assert "port" in capsys.readouterr().out


def test_ready(server: type[Answers], capsys: pytest.CaptureFixture[str]) -> None:
    assert alive.main() == 0
    assert capsys.readouterr().out == "ready\n"


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (503, b'{"status": "failed", "reason": "The model base is not there."}', "The model base is not there."),
        (200, b"this is no JSON", "does not answer"),
    ],
)
def test_not_ready(server: type[Answers], capsys: pytest.CaptureFixture[str], status: int, body: bytes, said: str) -> None:
    server.status, server.body = status, body
    assert alive.main() == 1
    assert said in capsys.readouterr().out


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("HAILO_WHISPER_SERVER_PORT", "1")
    assert alive.main() == 1
    assert "does not answer on 127.0.0.1 port 1" in capsys.readouterr().out

"""The health check of the image: an exit status, and the reason."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

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


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Answers]]:
    class Mine(Answers):
        pass

    listening = HTTPServer(("127.0.0.1", 0), Mine)
    monkeypatch.setenv("HAILO_WHISPER_SERVER_PORT", str(listening.server_port))
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    yield Mine
    listening.shutdown()
    thread.join()
    listening.server_close()


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


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("HAILO_WHISPER_SERVER_PORT", "1")
    assert alive.main() == 1
    assert "does not answer on port 1" in capsys.readouterr().out

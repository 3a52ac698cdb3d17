"""What the role of the service asks of one that runs."""

import http.server
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parent.parent


class Hearing(http.server.BaseHTTPRequestHandler):
    """A service that hears right as often as `right` says, and then something else."""

    right = 3

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        type(self).right -= 1
        clip = PROJECT / "app/src/hailo_whisper/data/clip.txt"
        body = json.dumps({"text": clip.read_text() if self.right >= 0 else "Nothing of the kind."}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_who_is_watched_is_asked_until_an_answer_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Hearing, "right", 3)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hearing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def heard(*more: str) -> Any:
            program = PROJECT / "roles/service/files/transcribe.py"
            done = subprocess.run(
                [sys.executable, program, f"http://127.0.0.1:{server.server_address[1]}", "/nowhere", *more],
                env={"PYTHONPATH": str(PROJECT / "app/src")},
                capture_output=True,
                text=True,
                check=True,
            )
            return json.loads(done.stdout)

        assert heard()["missing"] == []
        assert len(heard("200", "0.01")["missing"]) > 1
        assert Hearing.right == -1, "three were right, and the first wrong one was the last"
        monkeypatch.setattr(Hearing, "right", 1000)
        assert heard("0.3", "0.1")["missing"] == []
        assert Hearing.right < 999
        server.shutdown()

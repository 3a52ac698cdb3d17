"""What a server writes while it works, in the form for the journal's readers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from polling import until
from serving import ServerProcess, server_process

SECRET = "the treasure is buried under the oak"


@pytest.fixture(params=[False, True], ids=["private", "transcripts"])
def transcripts(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def started(tmp_path: Path, model_folder: Path, transcripts: bool) -> Iterator[ServerProcess]:
    more: dict[str, dict[str, Any]] = {"log": {"format": "json", "transcripts": transcripts}, "transcription": {"language": "de"}}
    with server_process(tmp_path, model_folder, more=more) as server:
        until(server.ready)
        yield server


def lines(server: ServerProcess) -> list[dict[str, Any]]:
    """Every line of the log; each must be an object of JSON. The one that a server's own port is told in is not the log's."""
    return [json.loads(line) for line in server.log.read_text().splitlines() if not line.startswith("hailo-whisper listens")]


def access(server: ServerProcess, status: int) -> dict[str, Any]:
    """The access record with that status, of which there must be one in the end."""

    def found() -> list[dict[str, Any]]:
        return [line for line in lines(server) if line["logger"] == "hailo_whisper.access" and line["status"] == status]

    until(found)
    (line,) = found()
    return line


def test_a_request_leaves_one_line_with_what_it_took(started: ServerProcess, transcripts: bool, clip_words: str) -> None:
    response = started.transcribe(prompt=f"say {SECRET}")
    assert response.json()["text"] == SECRET
    line = access(started, 200)
    assert line["request_id"] == response.headers["x-request-id"]
    assert (line["method"], line["path"]) == ("POST", "/v1/audio/transcriptions")
    assert line["audio_seconds"] == pytest.approx(5.3, abs=0.1)
    assert line["seconds"] >= line["engine_seconds"] > 0
    assert line["wait_seconds"] >= 0
    assert line["windows"] == 1
    assert line.get("transcript") == (SECRET if transcripts else None)
    assert (SECRET in started.log.read_text()) == transcripts
    assert clip_words not in started.log.read_text()


def test_a_refusal_leaves_one_line_too(started: ServerProcess) -> None:
    response = started.transcribe(b"no sound at all")
    assert response.status_code == 400
    assert access(started, 400)["request_id"] == response.headers["x-request-id"]


def test_watching_leaves_none(started: ServerProcess) -> None:
    for path in ("/health", "/health/ready", "/metrics"):
        assert started.client.get(path).status_code == 200
    started.transcribe()
    access(started, 200)
    assert not [
        line
        for line in lines(started)
        if str(line.get("path")) != "/v1/audio/transcriptions" and "status" in line and line["status"] == 200
    ]


def test_an_exception_in_a_child_is_one_line_and_does_not_tell_what_was_said(started: ServerProcess) -> None:
    assert started.transcribe(prompt="raise").status_code == 500
    access(started, 500)
    found = [line["exception"] for line in lines(started) if "exception" in line]
    # The engine is asked again before the request is given up.
    assert found
    for exception in found:
        assert exception.startswith("Traceback")
        assert exception.endswith("RuntimeError: out of luck")


def test_it_says_what_was_loaded_from_where_and_for_how_long(started: ServerProcess, model_folder: Path) -> None:
    (line,) = [line for line in lines(started) if "load_seconds" in line]
    assert (line["model"], line["path"]) == ("base", str(model_folder))
    assert "sha256" not in line, "nobody has verified a folder of the user's own"
    assert line["load_seconds"] > 0
    assert line["worker_pid"] in started.children()

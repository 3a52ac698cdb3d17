"""SIGHUP: a changed configuration is taken without losing a request, a bad one is not taken."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import media
import pytest
from polling import LONGEST, until
from serving import ServerProcess, server_process, write_config


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The service manager, which is told things."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(LONGEST)
        yield sock


@pytest.fixture
def server(tmp_path: Path, model_folder: Path, manager: socket.socket) -> Iterator[ServerProcess]:
    environ = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
    with server_process(tmp_path, model_folder, environ=environ) as started:
        until(started.ready)
        _read(manager, "READY=1")
        yield started


@pytest.fixture
def reload(server: ServerProcess, tmp_path: Path, model_folder: Path, manager: socket.socket) -> Callable[..., list[str]]:
    """Write the configuration anew, have it read, and give what the service manager was told when that was over."""

    def reload(more: dict[str, dict[str, Any]], port: int | None = None) -> list[str]:
        write_config(tmp_path, model_folder, port or server.client.base_url.port or 0, more)
        os.kill(server.pid, signal.SIGHUP)
        begun = _read(manager, "RELOADING=1")
        assert begun[1].startswith("MONOTONIC_USEC=")
        return _read(manager, "READY=1")

    return reload


def _read(manager: socket.socket, wanted: str) -> list[str]:
    while True:
        lines = manager.recv(8192).decode().splitlines()
        if wanted in lines:
            return lines


def test_limits_and_defaults_hold_from_the_next_request_on(server: ServerProcess, reload: Callable[..., list[str]]) -> None:
    worker = server.worker
    told = reload({"limits": {"duration_seconds": 3, "upload_mib": 1}, "transcription": {"language": "de", "beam": 2}})
    assert told == ["READY=1", "STATUS=ready: model base"]
    assert server.transcribe().json()["error"]["code"] == "audio_too_long"
    assert server.transcribe(b"\0" * (1024 * 1024 + 1)).status_code == 413
    reload({"transcription": {"language": "de", "beam": 2}})
    said = server.transcribe(prompt="options", response_format="verbose_json").json()
    assert (said["text"], said["language"]) == ("2 0.0", "german")
    assert server.worker == worker, "none of this needs a new worker"


def test_vad_can_be_turned_off(server: ServerProcess, reload: Callable[..., list[str]]) -> None:
    assert server.transcribe(media.silence(2), prompt="say x").json()["text"] == ""
    reload({"vad": {"enabled": False}})
    assert server.transcribe(media.silence(2), prompt="say x").json()["text"] == "x"


def test_another_model_is_loaded_after_the_batch_in_flight_and_requests_wait_for_it(
    server: ServerProcess, reload: Callable[..., list[str]], model_folder: Path
) -> None:
    replies: dict[str, httpx.Response] = {}
    (model_folder / "script").write_text("settings slow-to-load")

    def send(prompt: str) -> threading.Thread:
        def ask() -> None:
            replies[prompt] = server.transcribe(prompt=prompt)

        thread = threading.Thread(target=ask)
        thread.start()
        return thread

    worker = server.worker
    threads = [send("wait batch")]
    until((model_folder / "waiting").exists)
    reload({"model": {"path": str(model_folder), "compute_type": "float32"}})
    threads.append(send("say later"))
    assert worker in server.children(), "the batch in flight has its worker still"
    (model_folder / "batch").touch()
    until(lambda: "wait batch" in replies)
    assert replies["wait batch"].status_code == 200
    until(lambda: worker not in server.children())
    status = server.client.get("/health/ready")
    assert (status.status_code, status.json()["reason"]) == (503, "The configuration changed, and the model is being loaded.")
    assert "say later" not in replies
    (model_folder / "go").touch()
    for thread in threads:
        thread.join(LONGEST)
    assert replies["say later"].json()["text"] == "later"
    assert (model_folder / "settings").read_text().startswith("float32 ")
    assert server.client.get("/health/ready").json()["worker_restarts"] == 0, "this is no accident"


def test_more_batches_at_the_same_time_are_a_new_workers(
    server: ServerProcess, reload: Callable[..., list[str]], model_folder: Path
) -> None:
    (model_folder / "script").write_text("settings")
    worker = server.worker
    reload({"model": {"path": str(model_folder), "workers": 3}})
    until(lambda: worker not in server.children() and server.ready())
    assert (model_folder / "settings").read_text().split()[2] == "3"


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"limits": {"reqests": 3}}, "unknown key limits.reqests. Did you mean limits.requests?"),
        ({"model": {"path": "/nowhere/at/all"}}, "The model folder /nowhere/at/all does not exist."),
    ],
)
def test_what_is_bad_is_not_taken(
    server: ServerProcess, reload: Callable[..., list[str]], more: dict[str, dict[str, Any]], sentence: str, clip_words: str
) -> None:
    told = reload(more)
    assert told[1].startswith("STATUS=ready: model base; the changed configuration was not taken: ")
    assert sentence in told[1]
    assert sentence in server.log.read_text()
    assert server.transcribe().json()["text"] == clip_words
    assert reload({})[1] == "STATUS=ready: model base", "until it is mended"


def test_what_needs_a_restart_is_said_to(server: ServerProcess, reload: Callable[..., list[str]], clip_words: str) -> None:
    told = reload({}, port=1)
    assert told[1] == "STATUS=ready: model base; server: changed, which needs a restart"
    assert server.transcribe().json()["text"] == clip_words


def test_reloads_under_load_lose_no_request(server: ServerProcess, reload: Callable[..., list[str]], clip_words: str) -> None:
    answers: list[object] = []

    def load() -> None:
        with httpx.Client(base_url=server.client.base_url, timeout=120, trust_env=False) as client:
            mine = ServerProcess(server.process, client, server.log)
            for _ in range(15):
                try:
                    answers.append(mine.transcribe().json().get("text"))
                except httpx.HTTPError as error:
                    answers.append(repr(error))

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in (1, 2, 3):
        until(lambda: len(answers) > number * 8)  # noqa: B023 - it is called before the next turn
        reload({"model": {"threads": number}})
    for thread in threads:
        thread.join(2 * LONGEST)
    assert answers == [clip_words] * 45

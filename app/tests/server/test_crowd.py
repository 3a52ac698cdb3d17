"""Far more at once than the server takes: each gets an answer, and the server lives."""

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import media
import pytest
from polling import LONGEST, until
from serving import PATH, ServerProcess, fields, server_process

LIMIT = 16
# Uncompressed, 4 MiB each: 200 of them held at once would be 800 MiB.
RECORDING = media.silence(131)


@pytest.fixture
def crowded(tmp_path: Path, model_folder: Path) -> Iterator[ServerProcess]:
    more: dict[str, dict[str, Any]] = {"limits": {"requests": LIMIT}, "vad": {"enabled": False}}
    with server_process(tmp_path, model_folder, more=more) as server:
        until(server.ready)
        yield server


def _peak(pid: int) -> float:
    """The most memory that the process has had, in MiB."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


@pytest.mark.rule("errors.overload")
def test_200_requests_at_once(crowded: ServerProcess, clip_words: str) -> None:
    url = str(crowded.client.base_url).rstrip("/")
    replies: list[httpx.Response | Exception] = []
    together = threading.Barrier(200)

    def send() -> None:
        together.wait()
        try:
            files = {"file": ("a.wav", RECORDING)}
            replies.append(httpx.post(url + PATH, files=files, data=fields(prompt="say x"), timeout=120, trust_env=False))
        except httpx.HTTPError as error:
            replies.append(error)

    threads = [threading.Thread(target=send) for _ in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(4 * LONGEST)
    wrong = [reply for reply in replies if not isinstance(reply, httpx.Response)]
    assert not wrong, Counter(map(repr, wrong))
    answered = [reply for reply in replies if isinstance(reply, httpx.Response)]
    statuses = Counter(reply.status_code for reply in answered)
    assert set(statuses) == {200, 429}, statuses
    assert statuses.total() == 200
    assert statuses[200] >= LIMIT
    for reply in answered:
        if reply.status_code == 429:
            assert int(reply.headers["retry-after"]) >= 1
            error = reply.json()["error"]
            assert (error["type"], error["code"], error["param"]) == ("requests", "rate_limit_exceeded", None)
            assert "limits.requests" in error["message"]
    assert _peak(crowded.pid) < 400, "what was refused was not kept"
    assert crowded.transcribe().json()["text"].startswith(clip_words)
    metrics = crowded.client.get("/metrics").text
    assert f'requests_refused_total{{reason="requests"}} {float(statuses[429])}' in metrics
    assert 'hailo_whisper_queue_requests{model="base"} 0.0' in metrics


@pytest.mark.rule("errors.overload")
def test_too_much_sound_at_a_time(tmp_path: Path, model_folder: Path) -> None:
    more: dict[str, dict[str, Any]] = {
        "limits": {"queued_seconds": 30},
        "vad": {"enabled": False},
        # One window each.
        "windows": {"longest_seconds": 30.0},
    }
    with server_process(tmp_path, model_folder, more=more) as server:
        until(server.ready)
        replies: list[httpx.Response] = []

        def send(prompt: str) -> threading.Thread:
            thread = threading.Thread(target=lambda: replies.append(server.transcribe(media.silence(20), prompt=prompt)))
            thread.start()
            return thread

        threads = [send("wait go")]
        until((model_folder / "waiting").exists)
        # Nothing waits, so it is taken, although it makes more than the limit.
        assert server.client.get("/health/ready?full=404").status_code == 200
        threads.append(send("say second"))
        until(lambda: 'hailo_whisper_queue_windows{model="base"} 1.0' in server.client.get("/metrics").text)
        for query, status in (("", 200), ("?full=404", 404), ("?full=429", 429), ("?full=503", 503)):
            told = server.client.get(f"/health/ready{query}")
            assert (told.status_code, told.json()["status"]) == (status, "ready")
            assert "limits.queued_seconds" in told.json()["full"]
            assert ("retry-after" in told.headers) == bool(query)
        assert server.client.get("/health/ready?full=418").status_code == 400
        refused = server.transcribe(media.silence(20), prompt="say third")
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        assert "limits.queued_seconds" in refused.json()["error"]["message"]
        (model_folder / "go").touch()
        for thread in threads:
            thread.join(LONGEST)
        assert [reply.status_code for reply in replies] == [200, 200], [reply.text for reply in replies]
        assert server.transcribe(media.silence(60), prompt="say more than the limit").status_code == 200


def test_a_client_that_leaves_a_real_connection_frees_its_place(tmp_path: Path, model_folder: Path) -> None:
    more = {"limits": {"requests": 2}}
    with server_process(tmp_path, model_folder, more=more) as server:
        until(server.ready)
        busy = threading.Thread(target=lambda: server.transcribe(prompt="wait go"))
        busy.start()
        until((model_folder / "waiting").exists)
        for _ in range(5):
            with pytest.raises(httpx.ReadTimeout):
                server.client.post(PATH, files={"file": ("a.wav", media.encoded("flac"))}, data=fields(prompt="each"), timeout=1)
            until(lambda: 'hailo_whisper_queue_requests{model="base"} 1.0' in server.client.get("/metrics").text)
        (model_folder / "go").touch()
        busy.join(LONGEST)
        assert server.transcribe(prompt="say hello").json()["text"] == "hello"
        assert "each" not in (model_folder / "batches").read_text()

"""Several batches at a time: lanes for all, and the express for a short command that finds them busy."""

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import media
import pytest
from polling import until
from serving import ServerProcess, server_process

LONGEST = 60.0
LONG = media.silence(40)


class Sending:
    """A request under way."""

    def __init__(self, server: ServerProcess, content: bytes | None, prompt: str) -> None:
        self.reply: httpx.Response | None = None
        self._thread = threading.Thread(target=self._send, args=(server, content, prompt))
        self._thread.start()

    def _send(self, server: ServerProcess, content: bytes | None, prompt: str) -> None:
        self.reply = server.transcribe(content, prompt=prompt) if content else server.transcribe(prompt=prompt)

    @property
    def text(self) -> str:
        self._thread.join(LONGEST)
        assert self.reply is not None
        assert self.reply.status_code == 200, self.reply.text
        return str(self.reply.json()["text"])

    @property
    def waits(self) -> bool:
        return self.reply is None


@pytest.fixture
def script(request: pytest.FixtureRequest, model_folder: Path) -> Path:
    (model_folder / "script").write_text(request.param)
    return model_folder


@pytest.fixture
def server(tmp_path: Path, script: Path) -> Iterator[ServerProcess]:
    # All of the silence counts as speech: windows of up to 20 s.
    with server_process(tmp_path, script, more={"vad": {"enabled": False}}) as started:
        until(started.ready)
        yield started


def batches(folder: Path, word: str) -> int:
    """How many batches with this word the engine was given."""
    return (folder / "batches").read_text().split().count(word)


@pytest.mark.parametrize("script", ["express"], indirect=True)
def test_a_short_command_takes_the_express_while_a_long_recording_has_the_lane(server: ServerProcess, script: Path) -> None:
    long = Sending(server, LONG, "wait go")
    until((script / "waiting").exists)
    other = Sending(server, LONG, "say the other")
    assert server.transcribe(prompt="say quick").json()["text"] == "quick"
    assert server.transcribe(prompt="say and again").json()["text"] == "and again"
    assert long.waits
    assert other.waits
    assert batches(script, "say") == 2
    (script / "go").touch()
    assert long.text
    assert other.text.startswith("the other the other")


@pytest.mark.parametrize("script", ["express"], indirect=True)
def test_the_express_takes_one_batch_at_a_time(server: ServerProcess, script: Path) -> None:
    long = Sending(server, LONG, "wait go")
    until((script / "waiting").exists)
    (script / "waiting").unlink()
    short = Sending(server, None, "wait first")
    until((script / "waiting").exists)
    next_one = Sending(server, None, "say next")
    until(lambda: 'hailo_whisper_queue_requests{model="base"} 3.0' in server.client.get("/metrics").text)
    assert batches(script, "say") == 0
    (script / "first").touch()
    assert short.text
    assert next_one.text == "next"
    assert long.waits
    (script / "go").touch()
    assert long.text


@pytest.mark.parametrize("script", ["two-lanes"], indirect=True)
def test_two_batches_are_under_way_and_a_third_waits(server: ServerProcess, script: Path) -> None:
    first, second = Sending(server, None, "wait first"), Sending(server, None, "wait second")
    until(lambda: batches(script, "wait") == 2)
    third = Sending(server, None, "say third")
    until(lambda: 'hailo_whisper_queue_windows{model="base"} 1.0' in server.client.get("/metrics").text)
    (script / "second").touch()
    assert second.text
    assert third.text == "third"
    assert first.waits
    (script / "first").touch()
    assert first.text


@pytest.mark.parametrize("script", ["two-lanes"], indirect=True)
def test_a_crash_costs_neither_lane_its_request(server: ServerProcess, script: Path) -> None:
    bystander = Sending(server, None, "wait go")
    until((script / "waiting").exists)
    crashing = Sending(server, None, "crash-once")
    until((script / "crashed").exists)
    (script / "go").touch()
    assert crashing.text
    assert bystander.text
    assert server.client.get("/health/ready").json()["worker_restarts"] == 1


@pytest.mark.parametrize("script", ["two-lanes"], indirect=True)
def test_a_crash_while_one_recording_has_both_lanes_is_tried_again(server: ServerProcess, script: Path) -> None:
    recording = Sending(server, media.silence(200), "crash-once")
    assert recording.text
    assert (script / "crashed").exists()
    assert server.client.get("/health/ready").json()["worker_restarts"] == 1

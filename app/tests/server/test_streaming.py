"""Server-sent events: what was heard is told while the rest is being transcribed, and nothing is held when it is over."""

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import media
import numpy as np
import openai
import pytest
from polling import LONGEST, eventually, until
from serving import PATH, ServerProcess, command, fields, server_process

from hailo_whisper.engines.warm_up import clip

SAMPLES = np.frombuffer(clip()[44:], np.int16)
PAUSE = np.zeros(16000 * 4, np.int16)
# Two windows: one of a second or two, and after a long pause the whole clip.
RECORDING = media.wav(np.concatenate([SAMPLES[: 16000 * 3 // 2], PAUSE, SAMPLES]))
SECONDS = 11
# So that each window is a batch of its own, and one request has the server for itself.
CONFIG: dict[str, dict[str, Any]] = {
    "model": {"batch": 1},
    "limits": {"requests": 1, "batch_seconds": 2, "deadline_factor": 0.1},
    "log": {"format": "json"},
}


@pytest.fixture
def started(tmp_path: Path, model_folder: Path) -> Iterator[ServerProcess]:
    with server_process(tmp_path, model_folder, more=CONFIG) as server:
        until(server.ready)
        yield server


def client(server: ServerProcess) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.client.base_url}/v1", api_key="none", max_retries=0)


def events(response: httpx.Response) -> list[Any]:
    """The data of all events; there is nothing between them but comments."""
    found = [block for block in response.read().decode().split("\n\n") if not block.startswith(":")]
    assert found.pop() == ""
    return [json.loads(block.removeprefix("data: ")) for block in found]


def access(server: ServerProcess) -> dict[str, Any]:
    """The last line of the access log about a recording, as soon as it is there."""

    def lines() -> list[dict[str, Any]]:
        found = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in found if line["logger"] == "hailo_whisper.access" and line["path"] == PATH]

    until(lines)
    return lines()[-1]


def descriptors(server: ServerProcess) -> int:
    return len(list(Path(f"/proc/{server.pid}/fd").iterdir()))


def waiting(server: ServerProcess) -> str:
    """How many requests are being served, as the metrics tell it."""
    lines = server.client.get("/metrics").text.splitlines()
    return next(line.split()[1] for line in lines if line.startswith("hailo_whisper_queue_requests{"))


@pytest.mark.parametrize("response_format", ["json", "text"])
def test_the_windows_come_as_deltas_and_the_whole_at_the_end(started: ServerProcess, response_format: str) -> None:
    response = started.transcribe(RECORDING, stream="true", prompt="each", response_format=response_format)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-accel-buffering"] == "no"
    assert response.headers["x-request-id"].startswith("req_")
    assert "content-length" not in response.headers
    *deltas, done = events(response)
    assert [event["type"] for event in deltas] == ["transcript.text.delta"] * 2
    assert done == {
        "type": "transcript.text.done",
        "text": "".join(event["delta"] for event in deltas),
        "usage": {"type": "duration", "seconds": SECONDS},
    }
    line = access(started)
    assert (line["status"], line["windows"]) == (200, 2)
    assert "stream_error" not in line


def test_the_first_window_is_told_while_the_second_is_transcribed(started: ServerProcess, model_folder: Path) -> None:
    files = {"file": ("a.wav", RECORDING)}
    with started.client.stream("POST", PATH, files=files, data=fields(prompt="wait-over 3", stream="true")) as response:
        chunks = response.iter_raw()
        first = json.loads(next(chunks).removeprefix(b"data: "))
        assert first["type"] == "transcript.text.delta"
        until((model_folder / "waiting").exists)
        time.sleep(0.2)
        (model_folder / "go").touch()
        rest = b"".join(chunks)
    assert rest.count(b"transcript.text.delta") == 1
    assert rest.count(b"transcript.text.done") == 1
    assert access(started)["seconds"] > 0.2, "the line is written at the end of the stream"


def test_silence_has_no_delta(started: ServerProcess) -> None:
    response = started.transcribe(media.silence(3), stream="true")
    assert events(response) == [{"type": "transcript.text.done", "text": "", "usage": {"type": "duration", "seconds": 3}}]


def test_logprobs(started: ServerProcess) -> None:
    response = started.transcribe(RECORDING, **{"stream": "true", "prompt": "each", "include[]": "logprobs"})
    *deltas, done = events(response)
    assert all(event["logprobs"] for event in deltas)
    assert bytes(byte for token in done["logprobs"] for byte in token["bytes"]).decode() == done["text"]


def test_what_fails_before_anything_was_heard_is_a_plain_error(started: ServerProcess) -> None:
    for media_, prompt, status in ((b"no sound", "", 400), (RECORDING, "raise", 500)):
        response = started.transcribe(media_, stream="true", prompt=prompt)
        assert response.status_code == status
        assert response.headers["content-type"] == "application/json"
        assert set(response.json()["error"]) == {"message", "type", "param", "code"}
    assert started.transcribe().status_code == 200, "the place was given back"


@pytest.mark.parametrize(("prompt", "code"), [("raise-over 3", "engine_failed"), ("hang-over 3", "deadline_exceeded")])
def test_what_fails_later_is_an_event_and_the_end(started: ServerProcess, prompt: str, code: str) -> None:
    before = descriptors(started)
    delta, error = events(started.transcribe(RECORDING, stream="true", prompt=prompt))
    assert delta["type"] == "transcript.text.delta"
    assert set(error) == {"error"}
    assert set(error["error"]) == {"message", "type", "param", "code"}
    assert (error["error"]["type"], error["error"]["code"]) == ("server_error", code)
    line = access(started)
    assert (line["status"], line["stream_error"]) == (200, code)
    until(started.ready)
    assert started.transcribe().status_code == 200
    assert descriptors(started) <= before + 1, "a worker may have been replaced"


def test_a_client_that_leaves_stops_the_work_and_leaves_nothing_behind(started: ServerProcess, model_folder: Path) -> None:
    assert started.transcribe().status_code == 200
    before = descriptors(started)
    files = {"file": ("a.wav", RECORDING)}
    with started.client.stream("POST", PATH, files=files, data=fields(prompt="wait-over 3", stream="true")) as response:
        # Kept, because an iterator that is forgotten closes the connection.
        chunks = response.iter_raw()
        next(chunks)
        until((model_folder / "waiting").exists)
        assert started.transcribe().status_code == 429, "the stream has the only place"
    until(lambda: waiting(started) == "0.0")
    # Before it comes the line of the request that was refused.
    until(lambda: "stream_error" in access(started))
    line = access(started)
    assert (line["status"], line["stream_error"]) == (200, "client_gone")
    (model_folder / "go").touch()
    until(lambda: started.transcribe().status_code == 200)
    until(lambda: descriptors(started) <= before)


def test_a_stop_lets_a_stream_finish(started: ServerProcess, model_folder: Path) -> None:
    replies: list[Any] = []
    thread = threading.Thread(
        target=lambda: replies.extend(events(started.transcribe(RECORDING, stream="true", prompt="wait-over 3")))
    )
    thread.start()
    until((model_folder / "waiting").exists)
    os.kill(started.pid, signal.SIGTERM)
    until(lambda: "draining" in started.log.read_text())
    (model_folder / "go").touch()
    thread.join(LONGEST)
    assert [event["type"] for event in replies] == ["transcript.text.delta"] * 2 + ["transcript.text.done"]
    assert started.process.wait(LONGEST) == 0


def test_a_stop_tells_a_stream_that_is_not_done_in_time(tmp_path: Path, model_folder: Path) -> None:
    short = (
        "import hailo_whisper.cli.drain as drain; drain.DRAIN_SECONDS = 0.5\n"
        "import sys; from hailo_whisper.cli import main; sys.exit(main(sys.argv[1:]))"
    )

    def argv(config: Path) -> list[str]:
        return [sys.executable, "-c", short, *command(config)[3:]]

    with server_process(tmp_path, model_folder, argv=argv, more={"model": {"batch": 1}}) as server:
        until(server.ready)
        replies: list[Any] = []
        thread = threading.Thread(
            target=lambda: replies.extend(events(server.transcribe(RECORDING, stream="true", prompt="wait-over 3")))
        )
        thread.start()
        until((model_folder / "waiting").exists)
        os.kill(server.pid, signal.SIGTERM)
        thread.join(LONGEST)
        assert replies[0]["type"] == "transcript.text.delta"
        assert replies[-1]["error"]["message"] == "The server is shutting down. Send it again in a moment."
        assert server.process.wait(LONGEST) == 0


def test_http_1_0_gets_the_stream_as_it_is_and_its_end_by_the_connections(started: ServerProcess) -> None:
    request = httpx.Request("POST", "http://test" + PATH, files={"file": ("a.wav", RECORDING)}, data=fields(stream="true"))
    body = request.read()
    head = f"POST {PATH} HTTP/1.0\r\nContent-Type: {request.headers['content-type']}\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", started.client.base_url.port or 0), timeout=LONGEST) as sock:
        sock.sendall(head.encode() + body)
        with sock.makefile("rb") as reply:
            answer = reply.read()
    fields_, _, content = answer.partition(b"\r\n\r\n")
    assert fields_.startswith(b"HTTP/1.1 200 OK")
    assert b"chunked" not in fields_
    assert content.startswith(b'data: {"type": "transcript.text.delta"')
    assert content.endswith(b"}\n\n")


class TestTheOfficialSdk:
    def test_a_stream(self, started: ServerProcess) -> None:
        stream = client(started).audio.transcriptions.create(
            model="gpt-4o-transcribe", file=("a.wav", RECORDING), stream=True, prompt="each", include=["logprobs"]
        )
        found = [*stream]
        text = ""
        for event in found:
            if event.type == "transcript.text.delta":
                text += event.delta
                assert event.logprobs
        last = found[-1]
        assert last.type == "transcript.text.done"
        assert last.text == text != ""

    def test_an_error_in_the_stream_is_raised(self, started: ServerProcess) -> None:
        stream = client(started).audio.transcriptions.create(
            model="whisper-1", file=("a.wav", RECORDING), stream=True, prompt="raise-over 3"
        )
        assert next(stream).type == "transcript.text.delta"
        with pytest.raises(openai.APIError, match="Send it again") as caught:
            next(stream)
        assert (caught.value.code, caught.value.type) == ("engine_failed", "server_error")

    def test_what_cannot_be_streamed(self, started: ServerProcess) -> None:
        with pytest.raises(openai.BadRequestError) as caught:
            client(started).audio.transcriptions.create(
                model="whisper-1",
                file=("a.wav", RECORDING),
                stream=True,
                response_format="srt",
            )
        assert (caught.value.param, caught.value.code) == ("stream", "unsupported_value")

    async def test_asynchronously_and_leaving_early(self, started: ServerProcess, model_folder: Path) -> None:
        address = f"{started.client.base_url}/v1"
        async with openai.AsyncOpenAI(base_url=address, api_key="none", max_retries=0) as asking:
            stream = await asking.audio.transcriptions.create(
                model="whisper-1", file=("a.wav", RECORDING), stream=True, prompt="wait-over 3"
            )
            assert isinstance(stream, AsyncIterator)
            assert (await anext(stream)).type == "transcript.text.delta"
            await stream.close()
        await eventually(lambda: waiting(started) == "0.0")
        (model_folder / "go").touch()

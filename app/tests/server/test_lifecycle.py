"""What may befall the worker, and what the rest of the server says meanwhile. In process, with a real worker."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from polling import eventually
from serving import AMPLE, alive, serving

from hailo_whisper.engines import pauses

pytestmark = pytest.mark.usefixtures("impatient")

HASTY = replace(AMPLE, batch=0.6)


class TestDeadline:
    @pytest.mark.parametrize("prompt", ["hang", "hold-the-gil"])
    @pytest.mark.rule("errors.retry")
    async def test_it_kills_the_worker_and_the_next_request_is_served(
        self, prompt: str, model_folder: Path, clip_words: str
    ) -> None:
        async with serving(model_folder, patience=HASTY) as served:
            await served.until_ready()
            pid = served.supervisor.pid
            assert pid
            hanging = asyncio.create_task(served.transcribe(prompt))
            await asyncio.sleep(0)
            next_one = asyncio.create_task(served.transcribe())
            response = await hanging
            assert response.status_code == 504
            assert response.headers["x-should-retry"] == "false", "the SDKs would send it twice more"
            error = response.json()["error"]
            assert error["code"] == "deadline_exceeded"
            assert error["type"] == "server_error"
            assert "was stopped. Send a shorter recording, or raise limits.batch_seconds" in error["message"]
            assert (await next_one).json()["text"] == clip_words
            await eventually(lambda: not alive(pid))
            assert (await served.readiness())[1]["worker_restarts"] == 1

    async def test_a_longer_recording_has_longer(self, model_folder: Path) -> None:
        async with serving(model_folder, patience=replace(AMPLE, batch=0.1, factor=10)) as served:
            await served.until_ready()
            waiting = await served.under_way(model_folder)
            await asyncio.sleep(0.3)
            (model_folder / "go").touch()
            assert (await waiting).status_code == 200


class TestCrash:
    async def test_a_request_is_sent_to_the_next_worker(self, model_folder: Path, crashed: Path) -> None:
        async with serving(model_folder) as served:
            await served.until_ready()
            pid = served.supervisor.pid
            response = await served.transcribe("crash-once")
            assert response.status_code == 200, response.text
            await eventually(crashed.exists)
            assert served.supervisor.pid != pid

    async def test_a_recording_that_crashes_two_costs_only_itself(self, model_folder: Path, clip_words: str) -> None:
        async with serving(model_folder) as served:
            await served.until_ready()
            response = await served.transcribe("crash")
            assert response.status_code == 500
            assert response.json()["error"] == {
                "message": "The engine's process died over this recording (hailo_whisper.engines.worker was killed by SIGKILL), "
                "which was tried twice. Send another form of it.",
                "type": "server_error",
                "param": None,
                "code": "engine_failed",
            }
            await served.assert_serves(clip_words)
            assert (await served.readiness())[1]["worker_restarts"] == 2

    async def test_an_engine_that_raises_keeps_its_worker(self, model_folder: Path, clip_words: str) -> None:
        async with serving(model_folder) as served:
            await served.until_ready()
            pid = served.supervisor.pid
            response = await served.transcribe("raise")
            assert response.status_code == 500
            assert response.json()["error"]["message"] == (
                "The engine failed: RuntimeError: out of luck. Send it again; if that fails too, the server's journal says more."
            )
            assert response.json()["error"]["code"] == "engine_failed"
            await served.assert_serves(clip_words)
            assert served.supervisor.pid == pid

    async def test_an_idle_worker_that_hangs_is_replaced(self, model_folder: Path, clip_words: str) -> None:
        async with serving(model_folder) as served:
            await served.until_ready()
            pid = served.supervisor.pid
            assert pid
            os.kill(pid, signal.SIGSTOP)
            await eventually(lambda: not alive(pid))
            await served.assert_serves(clip_words)

    async def test_the_death_of_an_idle_worker_is_noticed_without_asking_it(
        self, model_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pauses, "PING", 600)
        async with serving(model_folder) as served:
            await served.until_ready()
            assert served.supervisor.pid
            os.kill(served.supervisor.pid, signal.SIGKILL)
            await eventually(lambda: served.supervisor.restarts == 1)
            await served.until_ready()

    async def test_a_request_in_flight_when_its_worker_is_killed(self, model_folder: Path) -> None:
        async with serving(model_folder) as served:
            await served.until_ready()
            busy = await served.under_way(model_folder)
            (model_folder / "go").touch()
            assert served.supervisor.pid
            os.kill(served.supervisor.pid, signal.SIGKILL)
            assert (await busy).status_code == 200


class TestKeepAlive:
    async def test_an_idle_model_is_unloaded_and_the_next_request_loads_it(self, model_folder: Path, clip_words: str) -> None:
        async with serving(model_folder, patience=replace(AMPLE, keep_alive=1)) as served:
            await served.until_ready()
            pid = served.supervisor.pid
            assert pid
            await served.until_state("unloaded")
            await eventually(lambda: not alive(pid))
            assert served.supervisor.pid is None
            assert (await served.readiness())[0] == 200, "it worked, and works again on request"
            await served.assert_serves(clip_words)
            assert (await served.readiness())[1]["worker_restarts"] == 0, "this is no accident"
            await served.until_state("unloaded")
            await served.assert_serves(clip_words)

    async def test_a_busy_model_is_not_unloaded(self, model_folder: Path) -> None:
        async with serving(model_folder, patience=replace(AMPLE, keep_alive=0)) as served:
            await served.until_ready()
            busy = await served.under_way(model_folder)
            pid = served.supervisor.pid
            assert pid
            await asyncio.sleep(0.7)
            assert alive(pid)
            (model_folder / "go").touch()
            assert (await busy).status_code == 200

    async def test_a_model_that_is_kept_stays(self, model_folder: Path) -> None:
        async with serving(model_folder) as served:
            await served.until_ready()
            pid = served.supervisor.pid
            await asyncio.sleep(0.7)
            assert served.supervisor.pid == pid
            assert (await served.readiness())[1]["status"] == "ready"


class TestUpload:
    async def test_nothing_of_it_touches_the_disk(self, model_folder: Path, clip_wav: bytes) -> None:
        written: list[str] = []
        watching = True

        def watch(event: str, args: tuple[Any, ...]) -> None:
            if watching and event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR):
                written.append(str(args[0]))

        async with serving(model_folder) as served:
            await served.until_ready()
            assert (await served.transcribe()).status_code == 200, "the decoder has been started"
            sys.addaudithook(watch)
            files = {"file": ("clip.wav", clip_wav + b"\0" * 8_000_000)}
            response = await served.client.post("/v1/audio/transcriptions", files=files, data={"model": "base"})
            watching = False
        assert response.status_code == 200
        assert written == []

    async def test_its_memory_is_given_back(self, model_folder: Path, open_fds: Callable[[], int]) -> None:
        async with serving(model_folder) as served:
            await served.until_ready()
            await served.transcribe()
            before = open_fds()
            for prompt in ("", "raise", ""):
                await served.transcribe(prompt)
            await served.transcribe(response_format="nonsense")
            assert open_fds() == before


@pytest.mark.rule("errors.shape")
async def test_what_nobody_expected_is_an_error_of_the_usual_shape(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(model_folder) as served:

        async def fail(*_: object) -> None:
            raise ZeroDivisionError("a secret")

        monkeypatch.setattr(served.decoder, "decode", fail)
        response = await served.transcribe()
        assert response.status_code == 500
        assert response.json()["error"] == {
            "message": "The server had an error while processing your request. Its journal says more.",
            "type": "server_error",
            "param": None,
            "code": None,
        }
        assert response.headers["x-request-id"].startswith("req_")
        assert "ZeroDivisionError: a secret" in caplog.text


async def test_shutting_down_ends_both_children(model_folder: Path) -> None:
    async with serving(model_folder) as served:
        await served.until_ready()
        await served.transcribe()
        worker, (decoder,) = served.supervisor.pid, served.decoder.pids
        assert worker
    await eventually(lambda: not alive(worker) and not alive(decoder))


async def test_shutting_down_while_the_worker_hangs(model_folder: Path) -> None:
    async with serving(model_folder) as served:
        await served.until_ready()
        hanging = asyncio.create_task(served.transcribe("hang"))
        await asyncio.sleep(0.2)
        worker = served.supervisor.pid
        assert worker
        hanging.cancel()
    await eventually(lambda: not alive(worker))

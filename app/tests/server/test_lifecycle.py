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
from serving import AMPLE, Served, alive, serving

from hailo_whisper.engines import supervisor
from hailo_whisper.models.store import Store

pytestmark = pytest.mark.usefixtures("impatient")

HASTY = replace(AMPLE, batch=0.6)


async def _assert_serves(served: Served, words: str) -> None:
    response = await served.transcribe()
    assert (response.status_code, response.json().get("text")) == (200, words), response.text


async def _under_way(served: Served, model: Path, prompt: str = "wait go") -> "asyncio.Task[Any]":
    """Start a request, and come back when the engine is at it."""
    task = asyncio.create_task(served.transcribe(prompt))
    await eventually((model / "waiting").exists)
    return task


class TestReadiness:
    @pytest.mark.rule("errors.unready")
    async def test_503_with_a_reason_while_loading_then_200(self, model_folder: Path, clip_words: str) -> None:
        (model_folder / "script").write_text("slow-to-load")
        async with serving(model_folder) as served:
            assert await served.health() == 200
            response = await served.client.get("/health/ready")
            assert response.status_code == 503
            assert response.headers["retry-after"] == "5"
            assert response.json() == {
                "status": "loading",
                "reason": "The model is being loaded.",
                "model": "base",
                "fallback_for": None,
                "worker_restarts": 0,
                "failed_starts": 0,
                "next_start_seconds": None,
                "offered": [],
            }
            early = asyncio.create_task(served.transcribe())
            await asyncio.sleep(0.1)
            assert not early.done(), "a request waits for the model"
            (model_folder / "go").touch()
            assert (await early).json()["text"] == clip_words
            assert await served.readiness() == (
                200,
                {
                    "status": "ready",
                    "reason": None,
                    "model": "base",
                    "fallback_for": None,
                    "worker_restarts": 0,
                    "failed_starts": 0,
                    "next_start_seconds": None,
                    "offered": [],
                },
            )

    async def test_a_request_does_not_wait_for_ever(self, model_folder: Path) -> None:
        (model_folder / "script").write_text("slow-to-load")
        async with serving(model_folder, patience=replace(AMPLE, start=0.2)) as served:
            response = await served.transcribe()
            assert response.status_code == 503
            assert response.json()["error"] == {
                "message": "The model is still being loaded. Try again in a moment.",
                "type": "server_error",
                "param": None,
                "code": "not_ready",
            }
            assert response.headers["retry-after"] == "5"
            (model_folder / "go").touch()
            await served.until_ready()

    async def test_a_misheard_warm_up_is_not_ready(self, model_folder: Path, clip_words: str) -> None:
        (model_folder / "script").write_text("mishear")
        async with serving(model_folder) as served:
            await served.until_state("failed")
            status, body = await served.readiness()
            assert status == 503
            assert body["reason"].startswith(f"The warm-up heard 'something else entirely' instead of {clip_words!r}")
            assert "Run `hailo-whisper models verify`." in body["reason"]
            assert await served.health() == 200
            assert (await served.transcribe()).status_code == 503
            (model_folder / "script").unlink()
            await served.until_ready()
            await _assert_serves(served, clip_words)

    async def test_an_engine_with_short_windows_is_warmed_up_and_served(self, model_folder: Path) -> None:
        (model_folder / "script").write_text("short-windows")
        async with serving(model_folder, config={"vad": {"enabled": False}}) as served:
            await served.until_ready()
            body = (await served.transcribe("each", response_format="verbose_json")).json()
            lengths = [float(word) for word in body["text"].split()]
            assert len(lengths) >= 3
            assert max(lengths) <= 2
            assert sum(lengths) == pytest.approx(5.3, abs=0.05)
            starts = [segment["start"] for segment in body["segments"]]
            assert starts == pytest.approx([sum(lengths[:i]) for i in range(len(lengths))], abs=0.05)
            assert [segment["seek"] for segment in body["segments"]] == [round(start * 100) for start in starts]

    @pytest.mark.parametrize(
        ("script", "reason"),
        [
            ("raise-at-load", "The engine failed: RuntimeError: the accelerator is on fire"),
            ("crash-at-load", "hailo_whisper.engines.worker was killed by SIGKILL"),
            ("hang-at-load", "hailo_whisper.engines.worker did not answer within 1 s"),
        ],
    )
    async def test_a_worker_that_cannot_start(self, script: str, reason: str, model_folder: Path, clip_words: str) -> None:
        (model_folder / "script").write_text(script)
        async with serving(model_folder, patience=replace(AMPLE, load=1.0)) as served:
            await served.until_state("failed")
            status, body = await served.readiness()
            assert status == 503
            assert body["reason"].startswith(f"The worker could not be started: {reason}. ")
            assert "`hailo-whisper models verify`" in body["reason"]
            assert await served.health() == 200
            response = await served.transcribe()
            assert response.status_code == 503
            assert response.json()["error"]["message"] == f"The server cannot transcribe now: {body['reason']}"
            assert response.headers["retry-after"] == "10"
            (model_folder / "script").unlink()
            await served.until_ready()
            await _assert_serves(served, clip_words)

    async def test_an_engine_that_does_not_exist(self, model_folder: Path) -> None:
        async with serving(model_folder, engine="no_such_engine:Engine") as served:
            await served.until_state("failed")
            assert "No module named 'no_such_engine'" in (await served.readiness())[1]["reason"]
            assert await served.health() == 200

    async def test_draining_is_not_ready(self, model_folder: Path) -> None:
        async with serving(model_folder) as served:
            await served.until_ready()
            served.app.state.draining = True
            status, body = await served.readiness()
            assert (status, body["status"], body["reason"]) == (503, "draining", "The server is shutting down.")
            assert await served.health() == 200


class TestMissingModel:
    async def test_503_says_how_to_get_it_and_no_restart_is_needed(
        self, tmp_path: Path, model_folder: Path, clip_words: str
    ) -> None:
        store = Store(tmp_path / "store")

        def prepare() -> Path:
            # The scripted engine needs no real weights, so only the first step is the store's.
            return model_folder if (tmp_path / "store").exists() else store.path("base")

        async with serving(prepare) as served:
            await served.until_state("failed")
            status, body = await served.readiness()
            assert status == 503
            assert body["reason"] == f"The model base is not in {tmp_path}/store. Run `hailo-whisper models pull base`."
            response = await served.transcribe()
            assert response.status_code == 503
            assert "Run `hailo-whisper models pull base`." in response.json()["error"]["message"]
            assert await served.health() == 200
            (tmp_path / "store").mkdir()
            await served.until_ready()
            await _assert_serves(served, clip_words)

    @pytest.mark.parametrize(
        ("damage", "sentence"),
        [
            ("missing", "does not exist. Set model.path (or WHISPER_MODEL_PATH) to a complete model"),
            ("half", "is incomplete: model.bin is missing."),
            ("empty", "is incomplete: config.json is empty."),
        ],
    )
    async def test_a_folder_of_the_users_own(self, damage: str, sentence: str, model_folder: Path) -> None:
        store = Store(model_folder.parent / "store")
        folder = model_folder if damage != "missing" else model_folder / "none"
        if damage == "half":
            (model_folder / "model.bin").unlink()
        if damage == "empty":
            (model_folder / "config.json").write_text("")

        def prepare() -> Path:
            store.check_folder(folder)
            return folder

        async with serving(prepare) as served:
            await served.until_state("failed")
            reason = (await served.readiness())[1]["reason"]
            assert sentence in reason
            assert "hailo-whisper models pull" in reason


class TestHealth:
    """Alive, whatever the engine is doing."""

    @pytest.mark.parametrize("prompt", ["hang", "hold-the-gil"])
    @pytest.mark.rule("health")
    async def test_while_the_worker_hangs(self, prompt: str, model_folder: Path, clip_words: str) -> None:
        async with serving(model_folder, patience=HASTY) as served:
            await served.until_ready()
            hanging = asyncio.create_task(served.transcribe(prompt))
            await asyncio.sleep(0.2)
            assert not hanging.done()
            assert await served.health() == 200
            assert (await served.readiness())[0] == 200
            await hanging
            await _assert_serves(served, clip_words)

    async def test_while_it_is_busy(self, model_folder: Path) -> None:
        async with serving(model_folder) as served:
            await served.until_ready()
            busy = await _under_way(served, model_folder)
            assert await served.health() == 200
            assert (await served.readiness())[0] == 200
            assert served.supervisor.answering, "the watchdog is fed while a request has its deadline still to come"
            (model_folder / "go").touch()
            assert (await busy).status_code == 200

    async def test_while_the_worker_is_dead(self, model_folder: Path) -> None:
        async with serving(model_folder) as served:
            await served.until_ready()
            (model_folder / "script").write_text("slow-to-load")
            assert served.supervisor.pid
            os.kill(served.supervisor.pid, signal.SIGKILL)
            await served.until_state("loading")
            assert await served.health() == 200
            status, body = await served.readiness()
            assert (status, body["reason"]) == (503, "The worker is being started again.")
            (model_folder / "go").touch()
            await served.until_ready()
            assert (await served.readiness())[1]["worker_restarts"] == 1


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
            waiting = await _under_way(served, model_folder)
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
            await _assert_serves(served, clip_words)
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
            await _assert_serves(served, clip_words)
            assert served.supervisor.pid == pid

    async def test_an_idle_worker_that_hangs_is_replaced(self, model_folder: Path, clip_words: str) -> None:
        async with serving(model_folder) as served:
            await served.until_ready()
            pid = served.supervisor.pid
            assert pid
            os.kill(pid, signal.SIGSTOP)
            await eventually(lambda: not alive(pid))
            await _assert_serves(served, clip_words)

    async def test_the_death_of_an_idle_worker_is_noticed_without_asking_it(
        self, model_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(supervisor, "PING_SECONDS", 600)
        async with serving(model_folder) as served:
            await served.until_ready()
            assert served.supervisor.pid
            os.kill(served.supervisor.pid, signal.SIGKILL)
            await eventually(lambda: served.supervisor.restarts == 1)
            await served.until_ready()

    async def test_a_request_in_flight_when_its_worker_is_killed(self, model_folder: Path) -> None:
        async with serving(model_folder) as served:
            await served.until_ready()
            busy = await _under_way(served, model_folder)
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
            await _assert_serves(served, clip_words)
            assert (await served.readiness())[1]["worker_restarts"] == 0, "this is no accident"
            await served.until_state("unloaded")
            await _assert_serves(served, clip_words)

    async def test_a_busy_model_is_not_unloaded(self, model_folder: Path) -> None:
        async with serving(model_folder, patience=replace(AMPLE, keep_alive=0)) as served:
            await served.until_ready()
            busy = await _under_way(served, model_folder)
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

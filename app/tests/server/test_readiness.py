"""What /health/ready and /health say while the worker comes up, cannot come up, is busy, hangs or is dead. In process, with a real worker."""

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from serving import AMPLE, serving

from hailo_whisper.models.store import Store

pytestmark = pytest.mark.usefixtures("impatient")

HASTY = replace(AMPLE, batch=0.6)


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
                "full": None,
                "model": "base",
                "fallback_for": None,
                "engine": "scripted_engine",
                "engine_fallback_for": None,
                "degraded": False,
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
                    "full": None,
                    "model": "base",
                    "fallback_for": None,
                    "engine": "scripted_engine",
                    "engine_fallback_for": None,
                    "degraded": False,
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
            await served.assert_serves(clip_words)

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
            ("hang-at-load", "hailo_whisper.engines.worker did not answer within 5 s"),
        ],
    )
    async def test_a_worker_that_cannot_start(self, script: str, reason: str, model_folder: Path, clip_words: str) -> None:
        (model_folder / "script").write_text(script)
        # Time enough for those that say it at once, on a busy machine too.
        async with serving(model_folder, patience=replace(AMPLE, load=5.0 if script == "hang-at-load" else 60.0)) as served:
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
            await served.assert_serves(clip_words)

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
            await served.assert_serves(clip_words)

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
            await served.assert_serves(clip_words)

    async def test_while_it_is_busy(self, model_folder: Path) -> None:
        async with serving(model_folder) as served:
            await served.until_ready()
            busy = await served.under_way(model_folder)
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

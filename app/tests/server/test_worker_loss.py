"""A batch that is lost costs the request that was the cause, and nobody else. In process, with a real worker."""

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import media
import pytest
from polling import eventually
from serving import AMPLE, Served, alive, serving

from hailo_whisper.engines import breaker, pauses
from hailo_whisper.failure import Failure
from hailo_whisper.scheduling import feeder

pytestmark = pytest.mark.usefixtures("impatient")

# And a batch is as large as it can be, however slow the engine seems.
ALL_IS_SPEECH: dict[str, Any] = {"vad": {"enabled": False}, "model": {"batch_target_seconds": 60.0}}
SHORT, LONG = media.silence(2), media.silence(4)


async def _together(served: Served, model: Path, prompt: str, *recordings: bytes) -> "list[Any]":
    """Send recordings that are in one batch, because the engine was busy when they came."""
    first = asyncio.create_task(served.transcribe("wait go"))
    await eventually((model / "waiting").exists)
    rest = [asyncio.create_task(served.send(recording, prompt)) for recording in recordings]
    await eventually(lambda: served.scheduler.waiting == len(recordings))
    (model / "go").touch()
    assert (await first).status_code == 200
    return await asyncio.gather(*rest)


def _batches(model: Path, word: str) -> list[int]:
    """The sizes of the batches that the engine was given with that word."""
    lines = [line.split() for line in (model / "batches").read_text().splitlines()]
    return [int(line[1]) for line in lines if line[0] == word]


async def test_requests_share_a_batch(model_folder: Path) -> None:
    async with serving(model_folder, config=ALL_IS_SPEECH) as served:
        await served.until_ready()
        replies = await _together(served, model_folder, "each", SHORT, LONG, SHORT)
    assert [reply.json()["text"] for reply in replies] == ["2.00", "4.00", "2.00"]
    assert _batches(model_folder, "each") == [3]


async def test_a_recording_that_kills_workers_fails_alone(model_folder: Path) -> None:
    async with serving(model_folder, config=ALL_IS_SPEECH) as served:
        await served.until_ready()
        replies = await _together(served, model_folder, "crash-over 3", SHORT, LONG, SHORT)
        assert [reply.status_code for reply in replies] == [200, 500, 200], [reply.text for reply in replies]
        assert "died over this recording" in replies[1].json()["error"]["message"]
        assert _batches(model_folder, "crash-over") in ([3, 1, 1, 1], [3, 1, 1, 1, 1]), "one together, then each by itself"
        assert served.supervisor.restarts == 2
        await served.until_ready()


@pytest.mark.usefixtures("short_memory")
async def test_want_of_memory_is_told_as_such_and_worth_another_try(model_folder: Path, clip_words: str) -> None:
    async with serving(model_folder, config=ALL_IS_SPEECH) as served:
        await served.until_ready()
        reply = await served.send(SHORT, "crash")
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "10"), reply.text
        said = reply.json()["error"]["message"]
        assert said.startswith("There is too little memory for this now: ")
        assert said.endswith("Send it again in a moment, or in shorter parts.")
        await served.until_ready()
        assert (await served.transcribe()).json()["text"] == clip_words


async def test_a_recording_that_the_engine_fails_over_fails_alone(model_folder: Path) -> None:
    async with serving(model_folder, config=ALL_IS_SPEECH) as served:
        await served.until_ready()
        pid = served.supervisor.pid
        replies = await _together(served, model_folder, "raise-over 3", SHORT, LONG, SHORT)
        assert [reply.status_code for reply in replies] == [200, 500, 200]
        assert "RuntimeError: too long for me" in replies[1].json()["error"]["message"]
        assert served.supervisor.pid == pid, "its process lives"


async def test_a_recording_that_hangs_the_engine_fails_alone(model_folder: Path) -> None:
    async with serving(model_folder, config=ALL_IS_SPEECH, patience=replace(AMPLE, batch=1.0)) as served:
        await served.until_ready()
        replies = await _together(served, model_folder, "hang-over 3", SHORT, LONG, SHORT)
        assert [reply.status_code for reply in replies] == [200, 504, 200]
        assert replies[1].headers["x-should-retry"] == "false"


async def test_a_device_that_fails_twice_over_a_recording_is_told_to_be_to_blame(model_folder: Path, clip_words: str) -> None:
    async with serving(model_folder) as served:
        await served.until_ready()
        response = await served.transcribe("lose-the-device")
        assert (response.status_code, response.headers["retry-after"]) == (503, "10")
        assert response.json()["error"]["message"] == (
            "The device failed twice while it transcribed this, which is hardly the fault of the recording: The device is gone. "
            "Send it again in a moment."
        )
        assert served.supervisor.restarts == 2
        assert (await served.transcribe()).json()["text"] == clip_words


@pytest.mark.parametrize("kind", ["nothing", "too-much", "nan", "score", "outside", "backwards", "text", "language"])
async def test_nonsense_is_no_transcript_and_the_worker_is_replaced(kind: str, model_folder: Path, clip_words: str) -> None:
    async with serving(model_folder) as served:
        await served.until_ready()
        pid = served.supervisor.pid
        response = await served.transcribe(f"nonsense {kind}")
        assert response.status_code == 500
        error = response.json()["error"]
        assert error["code"] == "engine_failed"
        assert error["message"].startswith("The engine failed: it")
        assert (await served.transcribe()).json()["text"] == clip_words
        assert served.supervisor.pid != pid


async def test_an_engine_that_fails_over_everything_gets_a_new_process(model_folder: Path) -> None:
    async with serving(model_folder) as served:
        await served.until_ready()
        pid = served.supervisor.pid
        for _ in range(3):
            assert (await served.transcribe("raise")).status_code == 500
        await eventually(lambda: served.supervisor.pid not in (pid, None))
        assert served.supervisor.restarts == 1


async def test_an_engine_that_leaks_is_replaced_before_anybody_notices(model_folder: Path, clip_words: str) -> None:
    (model_folder / "script").write_text("little-memory")
    async with serving(model_folder) as served:
        await served.until_ready()
        pid = served.supervisor.pid
        for _ in range(6):
            response = await served.transcribe("leak 64")
            assert (response.status_code, response.json()["text"]) == (200, clip_words)
        assert served.supervisor.pid != pid
        assert served.supervisor.restarts >= 1


async def test_a_worker_that_is_killed_while_it_loads(model_folder: Path, clip_words: str) -> None:
    (model_folder / "script").write_text("slow-to-load")
    async with serving(model_folder) as served:
        await eventually(lambda: served.supervisor.pid)
        early = asyncio.create_task(served.transcribe())
        assert served.supervisor.pid
        os.kill(served.supervisor.pid, signal.SIGKILL)
        await served.until_state("failed")
        assert (await early).status_code == 503
        (model_folder / "go").touch()
        await served.until_ready()
        assert (await served.transcribe()).json()["text"] == clip_words


async def test_workers_that_die_over_everything_are_restarted_with_restraint(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "FIRST_PAUSE", 600)
    async with serving(model_folder) as served:
        await served.until_ready()
        assert (await served.transcribe("crash")).status_code == 500
        await served.until_ready()
        crash = asyncio.create_task(served.transcribe("crash"))
        await eventually(lambda: served.supervisor.restarts == 3)
        status, body = await served.readiness()
        assert status == 503
        assert body["reason"] == "The worker was lost 3 times in a row, and is started again in 30 s."
        assert 0 < body["next_start_seconds"] <= 30
        assert served.supervisor.pid is None
        crash.cancel()


async def test_requests_that_waited_long_for_others_have_patience_with_a_new_worker(model_folder: Path) -> None:
    async with serving(model_folder, patience=replace(AMPLE, start=3.0)) as served:
        await served.until_ready()
        busy = asyncio.create_task(served.transcribe("wait go"))
        await eventually((model_folder / "waiting").exists)
        queued = asyncio.create_task(served.transcribe("say hello"))
        await asyncio.sleep(3.2)
        assert served.supervisor.pid
        (model_folder / "go").touch()
        os.kill(served.supervisor.pid, signal.SIGKILL)
        assert [(await task).status_code for task in (busy, queued)] == [200, 200]


class TestBreaker:
    async def test_three_failed_starts_and_no_more(self, model_folder: Path) -> None:
        (model_folder / "script").write_text("crash-at-load")
        async with serving(model_folder) as served:
            await eventually(lambda: served.supervisor.failed_starts == 3)
            status, body = await served.readiness()
            assert (status, body["status"], body["failed_starts"]) == (503, "failed", 3)
            assert body["reason"].startswith("The worker could not be started: ")
            assert 200 < body["next_start_seconds"] <= 300
            for _ in range(3):
                assert (await served.transcribe()).status_code == 503
            await asyncio.sleep(0.5)
            assert served.supervisor.failed_starts == 3
            assert served.supervisor.pid is None

    @pytest.mark.usefixtures("short_memory")
    async def test_where_memory_is_short_it_goes_on_soon(
        self, model_folder: Path, clip_words: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pauses, "SHORT", 1.0)
        (model_folder / "script").write_text("crash-at-load")
        async with serving(model_folder) as served:
            await eventually(lambda: served.supervisor.failed_starts >= breaker.MOST_FAILURES)
            body: dict[str, Any] = {}

            async def between_two_starts() -> bool:
                body.update((await served.readiness())[1])
                return body["next_start_seconds"] is not None

            await eventually(between_two_starts)
            assert body["reason"].startswith("There is too little memory: ")
            assert "raise resource_limits.memory_max where it is set, or take a smaller model" in body["reason"]
            assert body["next_start_seconds"] <= 1
            # Another program gives memory back, of which nobody tells the service.
            failed = served.supervisor.failed_starts
            await eventually(lambda: served.supervisor.failed_starts > failed)

    async def test_a_change_of_the_models_folder_is_a_new_chance(self, model_folder: Path, clip_words: str) -> None:
        (model_folder / "script").write_text("crash-at-load")
        async with serving(model_folder) as served:
            await eventually(lambda: served.supervisor.failed_starts == 3)
            (model_folder / "script").unlink()
            await served.until_ready()
            assert (await served.transcribe()).json()["text"] == clip_words
            assert served.supervisor.failed_starts == 0

    async def test_a_model_that_is_missing_starts_no_process_and_opens_nothing(self, model_folder: Path) -> None:
        looks = 0

        def prepare() -> Path:
            nonlocal looks
            looks += 1
            if looks < 8:
                raise Failure("There is no model. Pull one.")
            return model_folder

        async with serving(prepare) as served:
            await served.until_state("failed")
            assert (await served.readiness())[1]["failed_starts"] == 0
            await served.until_ready()


class TestKeepAlive:
    async def test_0_unloads_at_once_and_not_between_the_batches_of_a_recording(self, model_folder: Path) -> None:
        (model_folder / "script").write_text("short-windows")
        config = ALL_IS_SPEECH | {"model": {"batch": 1, "batch_target_seconds": 60.0}}
        async with serving(model_folder, config=config, patience=replace(AMPLE, keep_alive=0)) as served:
            await served.until_state("unloaded")
            assert served.supervisor.pid is None
            reply = await served.send(media.silence(9), "each")
            assert reply.status_code == 200
            assert len(_batches(model_folder, "each")) >= 5, "there were several"
            await served.until_state("unloaded")
            await eventually(lambda: served.supervisor.pid is None)
            assert served.supervisor.restarts == 0
            loads = [line for line in served.metrics.exposition()[0].decode().splitlines() if "worker_load_seconds_count" in line]
            assert loads[0].endswith(" 2.0"), "once for the warm-up, once for the request"

    async def test_silence_does_not_load_it(self, model_folder: Path) -> None:
        async with serving(model_folder, patience=replace(AMPLE, keep_alive=0)) as served:
            await served.until_state("unloaded")
            reply = await served.send(media.silence(3))
            assert (reply.status_code, reply.json()["text"]) == (200, "")
            assert served.supervisor.pid is None
            assert (await served.readiness())[1]["status"] == "unloaded"


class TestClientThatLeaves:
    async def test_its_windows_never_reach_the_engine_and_its_place_is_free(self, model_folder: Path) -> None:
        async with serving(model_folder, config=ALL_IS_SPEECH) as served:
            await served.until_ready()
            busy = asyncio.create_task(served.transcribe("wait go"))
            await eventually((model_folder / "waiting").exists)
            leaver = asyncio.create_task(served.send(SHORT, "each"))
            await eventually(lambda: served.scheduler.waiting == 1)
            leaver.cancel()
            await eventually(lambda: served.scheduler.waiting == 0)
            (model_folder / "go").touch()
            assert (await busy).status_code == 200
            assert (await served.send(SHORT, "say done")).json()["text"] == "done"
            assert _batches(model_folder, "each") == []
            assert served.scheduler.requests == 0

    async def test_one_whose_window_is_in_flight_leaves_the_worker_alone(self, model_folder: Path, clip_words: str) -> None:
        async with serving(model_folder) as served:
            await served.until_ready()
            pid = served.supervisor.pid
            leaver = asyncio.create_task(served.transcribe("wait go"))
            await eventually((model_folder / "waiting").exists)
            leaver.cancel()
            (model_folder / "go").touch()
            assert (await served.transcribe()).json()["text"] == clip_words
            assert served.supervisor.pid == pid
            assert pid
            assert alive(pid)


class TestDeadlineOfARequest:
    async def test_waiting_counts_and_is_told_of(self, model_folder: Path) -> None:
        limits = {"limits": {"deadline_seconds": 1.2, "deadline_factor": 0.001}}
        async with serving(model_folder, config=limits) as served:
            await served.until_ready()
            busy = asyncio.create_task(served.transcribe("wait go"))
            await eventually((model_folder / "waiting").exists)
            waiting = await served.transcribe("say hello")
            assert waiting.status_code == 504
            assert waiting.headers["x-should-retry"] == "false"
            error = waiting.json()["error"]
            assert error["code"] == "deadline_exceeded"
            assert "deadline of 1 seconds (it waited 1 of them in the queue) and was stopped." in error["message"]
            assert (await busy).status_code == 504, "its own came too"
            (model_folder / "go").touch()
            assert (await served.transcribe("say hello")).json()["text"] == "hello"


class TestWatchdog:
    @pytest.mark.parametrize(("grace", "fed"), [(15.0, True), (-1000.0, False)], ids=["in time", "overdue"])
    async def test_it_is_fed_until_a_batch_is_overdue(
        self, grace: float, fed: bool, model_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Every batch has a deadline; one that is still there long after it means that nobody keeps the deadlines."""
        monkeypatch.setattr(feeder, "GRACE", grace)
        async with serving(model_folder) as served:
            await served.until_ready()
            busy = asyncio.create_task(served.transcribe("wait go"))
            await eventually((model_folder / "waiting").exists)
            assert served.scheduler.answering is fed
            (model_folder / "go").touch()
            assert (await busy).status_code == 200
            await eventually(lambda: served.scheduler.answering)

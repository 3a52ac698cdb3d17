"""The NPU cannot be used and the CPU serves meanwhile (`engine.fallback`): who is told what, how it goes back, and that no request is lost.

The device is emulated; the scripted engine is the CPU. Both hear the same, so which one it was is told by readiness and by the CPU's diary.
"""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import media
import pytest
from emulated import EMULATOR, Device
from polling import eventually
from serving import AMPLE, Served, alive, serving
from stored import place, store_of

from hailo_whisper.cli.choice import Choice
from hailo_whisper.cli.service import Service
from hailo_whisper.engines import holdoff, pauses
from hailo_whisper.engines.launch import Found, Launch
from hailo_whisper.engines.warm_up import warm_up
from hailo_whisper.models.unusable import ModelMissing
from hailo_whisper.settings import parse

pytestmark = pytest.mark.usefixtures("quick")

NPU = "hailo_whisper.engines.hailo.engine:HailoEngine"
GONE = "No Hailo device was found"


def falling_back(hef: Path | Callable[[], Path], cpu: Path | Callable[[], Any], **more: Any) -> Any:
    """A server on the NPU, for which the CPU may stand in."""
    return serving(hef, engine=NPU, stand_in=cpu, **more)


async def until_on(served: Served, engine: str) -> dict[str, Any]:
    """Wait until that engine answers. Gives what readiness says then."""
    told: dict[str, Any] = {}

    async def there() -> bool:
        status, body = await served.readiness()
        told.update(body)
        return (status, body["engine"]) == (200, engine)

    await eventually(there)
    return told


def heard_by_the_cpu(cpu: Path) -> int:
    """How many batches, warm-ups not counted."""
    diary = cpu / "batches"
    return diary.read_text().count("say") if diary.exists() else 0


async def described(served: Served) -> dict[str, Any]:
    """The one model, as it is listed."""
    (model,) = (await served.client.get("/v1/models")).json()["data"]
    return dict(model)


async def degraded(served: Served) -> bool:
    """What Prometheus is told."""
    return 'hailo_whisper_model_degraded{model="base"} 1.0' in (await served.client.get("/metrics")).text


class TestAtTheStart:
    async def test_everybody_is_told_and_the_npu_takes_over_when_it_comes(
        self, device: Device, hef: Path, model_folder: Path, clip_words: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        device.tell("absent")
        async with falling_back(hef, model_folder) as served:
            told = await until_on(served, "ctranslate2")
            assert (told["status"], told["model"], told["engine_fallback_for"], told["degraded"]) == (
                "ready",
                "base",
                "hailo",
                True,
            )
            assert told["fallback_for"] is None, "it is the same model"
            assert told["reason"].startswith(f"The CPU transcribes in place of the Hailo NPU (engine.fallback). {GONE}")
            assert told["reason"] in caplog.text
            model = await described(served)
            assert (model["id"], model["engine"], model["engine_fallback_for"]) == ("base", "ctranslate2", "hailo")
            assert model["reason"] == told["reason"]
            assert model["capabilities"]["prompts"], "as the engine that answers can do"
            assert await degraded(served)
            assert (await served.transcribe("say hello")).json()["text"] == "hello"
            status = Service(
                parse({}, "test"),
                None,  # type: ignore[arg-type]
                served.lineup,
                served.decoder,
                served.app,
                load=lambda: parse({}, "test"),
            ).status
            assert status.startswith(
                f"STATUS=ready: model base. The CPU transcribes in place of the Hailo NPU (engine.fallback). {GONE}"
            )

            device.tell()
            told = await until_on(served, "hailo")
            assert (told["engine_fallback_for"], told["degraded"], told["reason"]) == (None, False, None)
            assert told["worker_restarts"] == 0, "nothing was lost"
            model = await described(served)
            assert "engine_fallback_for" not in model
            assert not model["capabilities"]["prompts"]
            assert not await degraded(served)
            before = heard_by_the_cpu(model_folder)
            assert (await served.transcribe()).json()["text"] == clip_words
            assert heard_by_the_cpu(model_folder) == before
            assert "the Hailo NPU can be used, and takes over" in caplog.text

    async def test_a_model_that_is_missing_in_the_npus_form_and_comes(
        self, device: Device, tmp_path: Path, model_folder: Path, clip_words: str
    ) -> None:
        path = tmp_path / "Whisper-Base.hef"

        def find() -> Path:
            if not path.exists():
                raise ModelMissing("There is no HEF of the model base. Pull it.")
            return path

        async with falling_back(find, model_folder) as served:
            told = await until_on(served, "ctranslate2")
            assert "There is no HEF of the model base. Pull it." in told["reason"]
            device.hef(tmp_path, says=clip_words)
            await until_on(served, "hailo")

    @pytest.mark.parametrize(
        ("told", "said"),
        [
            ("open raise 36", "lack of permission"),
            ("load raise 93", "made for another device"),
            ("load crash", "was killed by SIGSEGV"),
            ("infer hang", "did not answer within"),
        ],
    )
    async def test_whatever_is_wrong_with_it(self, device: Device, hef: Path, model_folder: Path, told: str, said: str) -> None:
        device.tell(told)
        async with falling_back(hef, model_folder, patience=replace(AMPLE, load=1.5)) as served:
            assert said in (await until_on(served, "ctranslate2"))["reason"]
            device.tell()
            (hef.parent / "touched").touch()
            await until_on(served, "hailo")

    async def test_a_release_without_its_python_package(
        self, hef: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = os.environ["PYTHONPATH"].split(os.pathsep)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(folder for folder in path if folder != str(EMULATOR)))
        async with falling_back(hef, model_folder) as served:
            assert "hailo_platform is not installed" in (await until_on(served, "ctranslate2"))["reason"]

    async def test_without_the_model_in_the_cpus_form_both_reasons_are_told_with_the_command(
        self, device: Device, hef: Path, tmp_path: Path, clip_words: str
    ) -> None:
        store = store_of(tmp_path, "base")
        device.tell("absent")
        async with falling_back(hef, Choice(store, "base", engine="ctranslate2").find) as served:
            await served.until_state("failed")

            async def told() -> bool:
                status, body = await served.readiness()
                assert status == 503
                return str(body["reason"]).startswith(GONE)

            await eventually(told)
            reason = (await served.readiness())[1]["reason"]
            assert "The CPU cannot take the place of the Hailo NPU (engine.fallback): The model base is not in " in reason
            assert reason.endswith("Run `hailo-whisper models pull base`.")
            assert not (await served.readiness())[1]["degraded"]
            response = await served.transcribe()
            assert response.status_code == 503
            assert "models pull base" in response.json()["error"]["message"]
            place(store, "base")
            await until_on(served, "ctranslate2")
            assert (await served.transcribe()).json()["text"] == clip_words
            device.tell()
            await until_on(served, "hailo")

    async def test_without_it_the_npu_is_taken_all_the_same_when_it_comes(
        self, device: Device, hef: Path, tmp_path: Path
    ) -> None:
        device.tell("absent")
        async with falling_back(hef, Choice(store_of(tmp_path, "base"), "base", engine="ctranslate2").find) as served:
            await served.until_state("failed")
            device.tell()
            await until_on(served, "hailo")


class TestBusy:
    async def test_the_device_is_waited_for_and_then_the_cpu_serves(self, hef: Path, model_folder: Path, somebody: Any) -> None:
        async with falling_back(hef, model_folder, group="SHARED", device_wait=1.0) as served:

            async def waiting() -> bool:
                status, body = await served.readiness()
                return status == 503 and "Waiting for the device, 1 s at most." in body["reason"]

            await eventually(waiting)
            assert "in use by another program" in (await until_on(served, "ctranslate2"))["reason"]
            somebody.release()
            await until_on(served, "hailo")

    async def test_who_asks_meanwhile_does_not_wait_as_long(
        self, hef: Path, model_folder: Path, somebody: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pauses, "HURRY", 0.3)
        async with falling_back(hef, model_folder, group="SHARED", device_wait=60.0) as served:
            assert (await served.transcribe()).status_code == 200
            told = await until_on(served, "ctranslate2")
            assert "Waiting for the device, 60 s at most." in told["reason"]
            somebody.release()
            await until_on(served, "hailo")


class TestUnderWay:
    async def test_no_request_is_lost_when_it_dies_under_load_and_comes_back(
        self, device: Device, hef: Path, model_folder: Path, clip_words: str
    ) -> None:
        answers: list[tuple[int, str]] = []
        over = False

        async def ask(served: Served) -> None:
            while not over:
                response = await served.transcribe()
                answers.append((response.status_code, response.json().get("text", response.text)))

        async with falling_back(hef, model_folder) as served:
            await until_on(served, "hailo")
            asking = [asyncio.create_task(ask(served)) for _ in range(4)]
            for told in ("infer raise 62", "absent", "infer crash"):
                count = len(answers)
                await eventually(lambda: len(answers) > count + 4)  # noqa: B023 - it is called before the next turn
                device.tell(told)
                await until_on(served, "ctranslate2")
                count = len(answers)
                await eventually(lambda: len(answers) > count + 4)  # noqa: B023
                device.tell()
                (hef.parent / f"touched-{len(answers)}").touch()
                await until_on(served, "hailo")
            over = True
            await asyncio.gather(*asking)
            assert served.supervisor.restarts == 3
        assert set(answers) == {(200, clip_words)}

    async def test_one_that_hangs_is_killed_and_its_request_is_served_by_the_cpu(
        self, device: Device, hef: Path, model_folder: Path, clip_words: str
    ) -> None:
        deadline = 1.0
        async with falling_back(hef, model_folder, patience=replace(AMPLE, batch=deadline)) as served:
            await until_on(served, "hailo")
            hung = served.supervisor.pid
            assert hung
            device.tell("infer hang")
            began = time.monotonic()
            request = asyncio.create_task(served.transcribe())
            await eventually(lambda: not alive(hung))
            assert deadline <= time.monotonic() - began < deadline + 2
            response = await request
            assert (response.status_code, response.json().get("text")) == (200, clip_words), response.text
            told = await until_on(served, "ctranslate2")
            assert (
                "did not finish a batch within its deadline of 1 seconds" in told["reason"] or "did not answer" in told["reason"]
            )
            assert told["worker_restarts"] == 1

    async def test_an_idle_one_that_dies(self, device: Device, hef: Path, model_folder: Path) -> None:
        async with falling_back(hef, model_folder) as served:
            await until_on(served, "hailo")
            device.tell("absent")
            assert served.supervisor.pid
            os.kill(served.supervisor.pid, signal.SIGKILL)
            told = await until_on(served, "ctranslate2")
            assert "The worker of the Hailo NPU was lost." in told["reason"] or GONE in told["reason"]

    async def test_one_that_comes_and_goes_does_not_cost_each_request(
        self, device: Device, hef: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(holdoff, "AGAIN", 600)
        async with falling_back(hef, model_folder) as served:
            for _ in range(2):
                await until_on(served, "hailo")
                device.tell("infer raise 62")
                assert (await served.transcribe()).status_code == 200
                await until_on(served, "ctranslate2")
                device.tell()
            await asyncio.sleep(1.0)
            told = await until_on(served, "ctranslate2")
            assert 500 < told["next_start_seconds"] <= 600, "it is left alone for a while"

    async def test_what_was_taken_on_by_the_cpu_is_finished_there_before_the_npu_takes_over(
        self, device: Device, hef: Path, model_folder: Path, clip_words: str
    ) -> None:
        device.tell("absent")
        async with falling_back(hef, model_folder, config={"vad": {"enabled": False}}) as served:
            await until_on(served, "ctranslate2")
            # 15 s in one window, which the NPU does not take.
            long = asyncio.create_task(served.send(media.silence(15), "wait go", response_format="verbose_json"))
            await eventually((model_folder / "waiting").exists)
            device.tell()

            async def announced() -> bool:
                return not (await described(served))["capabilities"]["prompts"]

            await eventually(announced)
            refused = await served.transcribe("say hello")
            assert (refused.status_code, refused.json()["error"]["param"]) == (400, "prompt"), (
                "who comes now is told what the NPU can do"
            )
            assert (await served.readiness())[1]["engine"] == "ctranslate2"
            (model_folder / "go").touch()
            response = await long
            assert response.status_code == 200
            (segment,) = response.json()["segments"]
            assert segment["end"] == pytest.approx(15), "as one window"
            await until_on(served, "hailo")
            assert (await served.transcribe()).json()["text"] == clip_words


class TestIdle:
    async def test_an_idle_stand_in_is_unloaded_and_nothing_is_tried_for_nobody(
        self, device: Device, hef: Path, model_folder: Path, clip_words: str
    ) -> None:
        device.tell("absent")
        async with falling_back(hef, model_folder, patience=replace(AMPLE, keep_alive=1)) as served:
            await until_on(served, "ctranslate2")
            await served.until_state("unloaded")
            device.tell()
            await asyncio.sleep(0.5)
            assert served.supervisor.pid is None
            assert (await served.readiness())[1]["next_start_seconds"] is None
            assert (await served.transcribe()).json()["text"] == clip_words
            await until_on(served, "hailo")


class TestABetterEngine:
    async def test_one_that_comes_later_is_tried_beside_and_takes_over(
        self, device: Device, hef: Path, model_folder: Path, clip_words: str
    ) -> None:
        device.tell("absent")
        heard = warm_up(1)
        npu = Launch(
            "base",
            NPU,
            lambda: Found("base", hef),
            "int8",
            0,
            heard,
            kind="hailo",
            processor="the Hailo NPU",
            signs=(device.folder / "control").read_text,
        )
        with heard.waveform:
            async with serving(model_folder) as served:
                await served.until_ready()
                served.supervisor.improve(npu)
                await eventually(lambda: served.supervisor.failed_starts > 0)
                status, told = await served.readiness()
                assert (status, told["engine"], told["degraded"], told["reason"]) == (200, "scripted_engine", False, None)
                assert (await served.transcribe("say hello")).json()["text"] == "hello"
                device.tell()
                await until_on(served, "hailo")
                assert (await served.transcribe()).json()["text"] == clip_words
                assert served.supervisor.restarts == 0

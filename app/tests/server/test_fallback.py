"""The NPU cannot be used and the CPU serves meanwhile (`engine.fallback`): who is told what, how it goes back, and that no request is lost.

The device is emulated; the scripted engine is the CPU. Both hear the same, so which one it was is told by readiness and by the CPU's diary.
"""

import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from emulated import EMULATOR, Device
from polling import eventually
from serving import AMPLE
from standing_in import GONE, degraded, described, falling_back, heard_by_the_cpu, until_on
from stored import place, store_of

from hailo_whisper.cli.choice import Choice
from hailo_whisper.cli.service import Service
from hailo_whisper.engines import pauses
from hailo_whisper.models.unusable import ModelMissing
from hailo_whisper.settings import parse

pytestmark = pytest.mark.usefixtures("quick")


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
        async with falling_back(hef, model_folder, patience=replace(AMPLE, load=5)) as served:
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
            await until_on(served, "ctranslate2")

            async def told() -> bool:
                return "Waiting for the device, 60 s at most." in (await served.readiness())[1]["reason"]

            await eventually(told)
            somebody.release()
            await until_on(served, "hailo")

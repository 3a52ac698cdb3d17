"""The NPU is lost under way and the CPU takes over, or the NPU comes and takes over from it: no request is lost, and nobody flaps."""

import asyncio
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import media
import pytest
from emulated import Device
from polling import eventually
from serving import AMPLE, Served, alive, serving
from standing_in import GONE, NPU, described, falling_back, until_on

from hailo_whisper.cli import assembly, service
from hailo_whisper.cli.service import Service
from hailo_whisper.engines import holdoff
from hailo_whisper.engines.launch import Found, Launch
from hailo_whisper.engines.warm_up import warm_up
from hailo_whisper.settings import parse

pytestmark = pytest.mark.usefixtures("quick")


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

    async def test_an_npu_that_dies_before_it_could_take_over_costs_nothing(
        self, device: Device, hef: Path, model_folder: Path
    ) -> None:
        device.tell("absent")
        async with falling_back(hef, model_folder) as served:
            await until_on(served, "ctranslate2")
            busy = await served.under_way(model_folder)
            device.tell()

            async def announced() -> bool:
                return not (await described(served))["capabilities"]["prompts"]

            await eventually(announced)
            device.tell("absent")
            (waiting,) = workers() - {served.supervisor.pid}
            os.kill(waiting, signal.SIGKILL)
            await eventually(lambda: served.supervisor.failed_starts > 0)
            assert (await described(served))["capabilities"]["prompts"], "nothing is promised for it any more"
            (model_folder / "go").touch()
            assert (await busy).status_code == 200
            assert served.supervisor.restarts == 0
            device.tell()
            await until_on(served, "hailo")

    async def test_it_waits_for_room_in_the_memory(self, device: Device, hef: Path, model_folder: Path) -> None:
        device.tell("absent")
        async with falling_back(hef, model_folder) as served:
            await until_on(served, "ctranslate2")
            asked: list[str] = []

            def full(found: Found) -> str:
                asked.append(found.name)
                return "Another model is in use."

            before, served.supervisor.room = served.supervisor.room, full
            await eventually(lambda: asked)
            device.tell()
            await eventually(lambda: len(asked) > 2)
            assert (await served.readiness())[1]["engine"] == "ctranslate2"
            served.supervisor.room = before
            await until_on(served, "hailo")

    async def test_what_the_stand_in_cannot_do_is_told_and_not_imitated(
        self, device: Device, hef: Path, model_folder: Path
    ) -> None:
        async with falling_back(hef, model_folder) as served:
            await until_on(served, "hailo")
            # The emulator knows Spanish, and the scripted engine does not.
            assert (await served.transcribe(language="es")).status_code == 200
            device.tell("infer raise 62")
            response = await served.transcribe(language="es")
            assert response.status_code == 503
            assert response.json()["error"]["message"] == (
                "Another engine took over while the request waited, and it does not know the language 'es'. Send it again."
            )
            await until_on(served, "ctranslate2")
            assert (await served.transcribe(language="es")).status_code == 400


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

    async def test_a_program_error_over_it_leaves_what_serves_alone(
        self, hef: Path, model_folder: Path, clip_words: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        def broken() -> object:
            raise ZeroDivisionError("a mistake")

        heard = warm_up(1)
        npu = Launch("base", NPU, lambda: Found("base", hef), "int8", 0, heard, processor="the Hailo NPU", signs=broken)
        with heard.waveform:
            async with serving(model_folder) as served:
                await served.until_ready()
                served.supervisor.improve(npu)
                await eventually(lambda: "the Hailo NPU is not tried any more" in caplog.text)
                assert (await served.transcribe()).json()["text"] == clip_words

    async def test_with_auto_it_is_looked_for_while_the_server_runs(
        self, device: Device, hef: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        nodes: list[str] = []
        chosen: list[str] = []
        heard = warm_up(1)
        npu = Launch("base", NPU, lambda: Found("base", hef), "int8", 0, heard, kind="hailo", processor="the Hailo NPU")

        def choose(*_: object) -> Launch:
            chosen.append("anew")
            return npu if "hailo0" in nodes else replace(npu, kind="ctranslate2")

        monkeypatch.setattr(service, "DEVICES_SECONDS", 0.05)
        monkeypatch.setattr(service, "signs", lambda: [*nodes])
        monkeypatch.setattr(assembly, "launch", choose)
        settings = parse({}, "test")
        with heard.waveform:
            async with serving(model_folder) as served:
                await served.until_ready()
                now = replace(npu, kind="ctranslate2")
                running = Service(settings, now, served.lineup, served.decoder, served.app, load=lambda: settings)
                looking = asyncio.create_task(running.look_for_devices([]))
                await asyncio.sleep(0.2)
                assert not chosen, "nothing is chosen as long as nothing comes"
                nodes.append("nvidia0")
                await eventually(lambda: chosen)
                await asyncio.sleep(0.2)
                assert len(chosen) == 1, "once for each change"
                assert (await served.readiness())[1]["engine"] == "scripted_engine", "it is not better"
                nodes.append("hailo0")
                await until_on(served, "hailo")
                assert served.supervisor.restarts == 0
                nodes.clear()
                await eventually(lambda: len(chosen) == 3)
                assert (await served.readiness())[1]["engine"] == "hailo", "one that goes away is not given up for that"
                looking.cancel()

    async def test_a_look_that_fails_is_told_of_once_and_made_again(
        self, model_folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        tried: list[str] = []

        def closed(*_: object) -> Launch:
            tried.append("anew")
            raise PermissionError(13, "Permission denied", "/var/lib/hailo-whisper/models")

        monkeypatch.setattr(service, "DEVICES_SECONDS", 0.01)
        monkeypatch.setattr(service, "signs", lambda: ["hailo0"])
        monkeypatch.setattr(assembly, "launch", closed)
        settings = parse({}, "test")
        async with serving(model_folder) as served:
            running = Service(settings, None, served.lineup, served.decoder, served.app, load=lambda: settings)  # type: ignore[arg-type]
            # The launch of before is asked for its warm-up.
            running.launch = SimpleNamespace(warm_up=None)  # type: ignore[assignment]
            looking = asyncio.create_task(running.look_for_devices([]))
            await eventually(lambda: len(tried) > 3)
            assert not looking.done()
            looking.cancel()
        assert caplog.text.count("no engine could be chosen anew") == 1

    @pytest.mark.parametrize("kind", ["ctranslate2", "hailo"])
    async def test_what_is_set_is_not_chosen_anew(self, model_folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
        monkeypatch.setattr(service, "DEVICES_SECONDS", 0.01)
        looked: list[int] = []

        def signs() -> int:
            looked.append(1)
            return len(looked)

        monkeypatch.setattr(service, "signs", signs)
        monkeypatch.setattr(assembly, "launch", _never)
        settings = parse({"engine": {"kind": kind}}, "test")
        async with serving(model_folder) as served:
            running = Service(settings, None, served.lineup, served.decoder, served.app, load=lambda: settings)  # type: ignore[arg-type]
            looking = asyncio.create_task(running.look_for_devices([]))
            await eventually(lambda: len(looked) > 3)
            assert not looking.done()
            looking.cancel()


def workers() -> set[int]:
    """Process ids of the workers of this process."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return {int(pid) for pid in children if b"engines.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()}


def _never(*_: object) -> Launch:
    raise AssertionError

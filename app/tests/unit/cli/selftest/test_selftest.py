"""What is refused before anything is tried, what the device says of itself, how each trial fails, and the report."""

import asyncio
import json
import os
import signal
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest
from emulated import Device
from machines import FakeMachine

from hailo_whisper.accelerators import hailo
from hailo_whisper.accelerators.hailo import Binding
from hailo_whisper.accelerators.machine import survey
from hailo_whisper.accelerators.nvidia import Gpu, Probe
from hailo_whisper.cli.selftest import ground, identity, recordings, report, trials
from hailo_whisper.cli.selftest.bench import Bench
from hailo_whisper.cli.selftest.result import Outcome, Result, failed, passed, skipped
from hailo_whisper.engines.status import State
from hailo_whisper.engines.trouble import DeviceBusy, Trouble
from hailo_whisper.engines.warm_up import clip_text
from hailo_whisper.failure import Failure
from hailo_whisper.scheduling import cutting
from hailo_whisper.service.metrics import Metrics
from hailo_whisper.settings import Settings, parse
from hailo_whisper.speech.decoder import Decoder


@pytest.fixture
def machine(tmp_path: Path) -> FakeMachine:
    return FakeMachine(tmp_path / "root")


def _settings(tmp_path: Path, **sections: Any) -> Settings:
    storage = {"models": str(tmp_path / "store")}
    return parse({"storage": storage, "hailo": {"resources": str(tmp_path)}} | sections, "test")


def _subject(tmp_path: Path, machine: FakeMachine, **sections: Any) -> ground.Subject:
    return ground.prepare(_settings(tmp_path, **sections), hardware=False, root=machine.root)


class TestGround:
    def test_hardware_is_not_the_cpu(self, tmp_path: Path, machine: FakeMachine) -> None:
        with pytest.raises(Failure, match="the CPU would transcribe: there is no Hailo device; there is no NVIDIA GPU"):
            ground.prepare(_settings(tmp_path), hardware=True, root=machine.root)
        with pytest.raises(Failure, match=r"engine\.kind is set to ctranslate2"):
            ground.prepare(_settings(tmp_path, engine={"kind": "ctranslate2"}), hardware=True, root=machine.root)

    def test_hardware_is_not_the_emulator(self, tmp_path: Path, machine: FakeMachine, device: Device) -> None:
        machine.hailo()
        kind: dict[str, Any] = {"engine": {"kind": "hailo"}}
        with pytest.raises(Failure, match="this one is emulated"):
            ground.prepare(_settings(tmp_path, **kind), hardware=True, root=machine.root)
        subject = _subject(tmp_path, machine, **kind)
        assert (subject.emulated, subject.shared, subject.launch.engine[-11:]) == (True, True, "HailoEngine")

    def test_a_real_device_is_hardware(self, tmp_path: Path, machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
        machine.hailo()
        monkeypatch.setattr(hailo, "ask_binding", lambda: Binding("5.2.0"))
        subject = ground.prepare(_settings(tmp_path, engine={"kind": "hailo"}), hardware=True, root=machine.root)
        assert not subject.emulated

    @pytest.mark.parametrize(
        ("command", "said"),
        [
            ("python\0-m\0hailo_whisper.engines.worker\0", "held by the service"),
            ("hailo-ollama\0", r"held by ollama \(process 812\)"),
        ],
    )
    def test_a_device_that_is_taken_is_not_fought_for(
        self, tmp_path: Path, machine: FakeMachine, device: Device, command: str, said: str
    ) -> None:
        machine.hailo()
        (machine.root / "proc/812/fd").mkdir(parents=True)
        (machine.root / "proc/812/fd/4").symlink_to("/dev/hailo0")
        machine.write("proc/812/comm", "ollama\n")
        machine.write("proc/812/cmdline", command)
        sections: dict[str, Any] = {"engine": {"kind": "hailo"}, "hailo": {"group": "UNIQUE"}}
        with pytest.raises(Failure, match=said) as caught:
            _subject(tmp_path, machine, **sections)
        assert ("systemctl stop hailo-whisper.socket" in str(caught.value)) == ("worker" in command)
        sections["hailo"] = {"group": "SHARED"}
        with pytest.raises(Failure, match=rf"{said}, whom the test would disturb.*Stop it first.*--beside"):
            _subject(tmp_path, machine, **sections)
        beside = ground.prepare(_settings(tmp_path, **sections), hardware=False, beside=True, root=machine.root)
        assert (beside.sharing, beside.beside) == ("Held besides by ollama (process 812).", True)

    def test_a_hailo_8_that_is_taken_is_not_shared_whatever_is_asked(
        self, tmp_path: Path, machine: FakeMachine, device: Device
    ) -> None:
        machine.board("0x1e60", "0x2864")
        machine.node("hailo0")
        (machine.root / "proc/812/fd").mkdir(parents=True)
        (machine.root / "proc/812/fd/4").symlink_to("/dev/hailo0")
        settings = _settings(tmp_path, engine={"kind": "hailo"}, hailo={"group": "SHARED"})
        with pytest.raises(Failure, match=r"a Hailo-8 or 8L has one program at a time\. Stop it first"):
            ground.prepare(settings, hardware=False, beside=True, root=machine.root)


class TestIdentity:
    def test_an_emulated_device(self, machine: FakeMachine, device: Device) -> None:
        machine.hailo()
        found = identity.identify("hailo", survey(machine.root), Binding("5.2.0", emulated=True))
        assert (found.name, found.trouble) == ("HAILO10H", None)
        assert found.facts["driver"] == "hailo1x_pci 5.2.0"
        assert "EMULATED00000000" not in f"{found}", "no serial number"

    def test_none(self, machine: FakeMachine, device: Device) -> None:
        device.tell("absent")
        assert identity.identify("hailo", survey(machine.root), None).trouble == "HailoRT finds none"

    @pytest.mark.parametrize(
        ("program", "said"),
        [
            ("raise SystemExit('no driver')", "no driver"),
            ("import os; os.abort()", "status -6"),
            ("import time; time.sleep(60)", "did not say what it is within"),
        ],
    )
    def test_one_that_does_not_say(self, machine: FakeMachine, monkeypatch: pytest.MonkeyPatch, program: str, said: str) -> None:
        monkeypatch.setattr(identity, "SECONDS", 1.0)
        found = identity.identify("hailo", survey(machine.root), None, (sys.executable, "-c", program))
        assert said in str(found.trouble)

    def test_a_gpu_and_the_cpu(self, machine: FakeMachine) -> None:
        machine.nvidia()
        found = identity.identify("cuda", survey(machine.root, ask=lambda: Probe((Gpu("H200", 150),), "12.4")), None)
        assert (found.name, found.facts["CUDA of the driver"]) == ("H200 (150 MB)", "12.4")
        assert identity.identify("ctranslate2", survey(machine.root), None) == identity.Identity("the CPU", {})


async def test_the_recordings_are_sound(tmp_path: Path) -> None:
    """What is decoded is as long as is said, and speech is where it is."""
    decoder = Decoder(600, 60, Metrics())
    try:
        for one in [*recordings.known(), recordings.long()]:
            path = tmp_path / f"{one.name}.wav"
            path.write_bytes(one.wav)
            with path.open("rb") as media:
                found = await decoder.decode(media.fileno(), cutting.detection(Settings().vad), 600.0)
            assert found.waveform.duration == pytest.approx(one.seconds, abs=0.1)
            assert len(found.speech) >= len(one.text) // len(clip_text())
            found.waveform.close()
    finally:
        decoder.close()


@dataclass
class FakeSupervisor:
    pid: int | None = None
    restarts: int = 1
    state: State = State.READY
    found: Any = None

    async def ready(self, seconds: float) -> None:
        pass


@dataclass
class FakeBench:
    """Hears what it is told to, in turn; the last for ever."""

    heard: list[str | Failure]
    supervisor: FakeSupervisor = field(default_factory=FakeSupervisor)
    load_seconds: float = 5.0
    takes: float = 0.0

    async def transcribe(self, known: recordings.Known) -> str:
        await asyncio.sleep(self.takes)
        said = self.heard.pop(0) if len(self.heard) > 1 else self.heard[0]
        if isinstance(said, Failure):
            raise said
        return known.text if said == "right" else said


def _bench(*heard: str | Failure, **more: Any) -> Bench:
    return cast(Bench, FakeBench([*heard], **more))


@pytest.fixture
def cpu(tmp_path: Path, machine: FakeMachine) -> ground.Subject:
    return _subject(tmp_path, machine)


@pytest.fixture
def npu(tmp_path: Path, machine: FakeMachine, device: Device) -> ground.Subject:
    machine.hailo()
    return _subject(tmp_path, machine, engine={"kind": "hailo"})


class TestTrials:
    async def test_accuracy(self, cpu: ground.Subject) -> None:
        good = await trials.accuracy(cpu, _bench("right"))
        assert (good.outcome, good.figures["sentence_wer_percent"]) == (Outcome.PASSED, 0)
        bad = await trials.accuracy(cpu, _bench("right", "something else entirely", "right"))
        assert (bad.outcome, "of `quiet` it heard: 'something else" in bad.said) == (Outcome.FAILED, True)

    async def test_latency(self, cpu: ground.Subject, npu: ground.Subject, monkeypatch: pytest.MonkeyPatch) -> None:
        assert (await trials.latency(cpu, _bench("right"))).outcome is Outcome.PASSED
        monkeypatch.setattr(trials, "sentence", lambda: recordings.Known("sentence", b"", "x", 0.05))
        slow = await trials.latency(npu, _bench("right", takes=0.1))
        assert (slow.outcome, "it should be 1 at most" in slow.said) == (Outcome.FAILED, True)
        assert slow.figures["ratio"] > 1
        assert (await trials.latency(cpu, _bench("right", takes=0.1))).outcome is Outcome.PASSED, "a CPU may be slower"

    @pytest.mark.parametrize(
        ("heard", "replaced", "outcome", "said"),
        [
            (("right",), True, Outcome.PASSED, "the request got its text all the same"),
            ((Failure("lost"), "right"), True, Outcome.PASSED, "the request got an error (lost)"),
            (("right", Failure("gone for good")), True, Outcome.FAILED, "does not transcribe any more: gone for good"),
            (("right",), False, Outcome.FAILED, "was not replaced"),
        ],
    )
    async def test_kill(
        self,
        cpu: ground.Subject,
        monkeypatch: pytest.MonkeyPatch,
        heard: tuple[Any, ...],
        replaced: bool,
        outcome: Outcome,
        said: str,
    ) -> None:
        killed: list[int] = []
        bench = _bench(*heard, supervisor=FakeSupervisor(pid=4711), takes=0.05)

        def kill(pid: int, number: int) -> None:
            assert number == signal.SIGKILL
            killed.append(pid)
            cast(Any, bench.supervisor).pid = 4712 if replaced else 4711

        monkeypatch.setattr(os, "kill", kill)
        monkeypatch.setattr(trials, "MOMENT", 0.0)
        result = await trials.kill(cpu, bench)
        assert (result.outcome, said in result.said, killed) == (outcome, True, [4711]), result

    async def test_a_worker_that_dies_just_before(self, cpu: ground.Subject, monkeypatch: pytest.MonkeyPatch) -> None:
        def kill(pid: int, number: int) -> None:
            cast(Any, bench.supervisor).pid = 4712
            raise ProcessLookupError(3, "No such process")

        bench = _bench("right", supervisor=FakeSupervisor(pid=4711))
        monkeypatch.setattr(os, "kill", kill)
        monkeypatch.setattr(trials, "MOMENT", 0.0)
        assert (await trials.kill(cpu, bench)).outcome is Outcome.PASSED

    async def test_no_worker_to_kill(self, cpu: ground.Subject) -> None:
        assert (await trials.kill(cpu, _bench("right"))).outcome is Outcome.FAILED

    @pytest.mark.parametrize(
        ("beside", "alone", "heard", "outcome", "said"),
        [
            (None, DeviceBusy("it is in use"), "right", Outcome.PASSED, "was told: it is in use"),
            (Trouble("no room"), DeviceBusy("it is in use"), "right", Outcome.FAILED, "was not let in: no room"),
            (None, None, "right", Outcome.FAILED, "and got: the device"),
            (None, Trouble("hm"), "right", Outcome.FAILED, "and got: hm"),
            (None, DeviceBusy("it is in use"), Failure("broken"), Outcome.FAILED, "does not transcribe: broken"),
        ],
    )
    async def test_sharing(
        self,
        npu: ground.Subject,
        monkeypatch: pytest.MonkeyPatch,
        beside: Any,
        alone: Any,
        heard: Any,
        outcome: Outcome,
        said: str,
    ) -> None:
        async def second(launch: Any, bench: Any) -> Exception | None:
            found: Exception | None = alone if launch.group == "UNIQUE" else beside
            return found

        monkeypatch.setattr(trials, "_second", second)
        result = await trials.sharing(npu, _bench(heard))
        assert (result.outcome, said in result.said) == (outcome, True), result

    async def test_sharing_of_a_service_that_wants_it_alone_and_of_what_is_not_shared(
        self, npu: ground.Subject, cpu: ground.Subject, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def second(launch: Any, bench: Any) -> Exception | None:
            return DeviceBusy("it is in use")

        monkeypatch.setattr(trials, "_second", second)
        alone = replace(npu, launch=replace(npu.launch, group="UNIQUE"))
        assert (await trials.sharing(alone, _bench("right"))).outcome is Outcome.PASSED
        assert (await trials.sharing(cpu, _bench("right"))).outcome is Outcome.SKIPPED

    @pytest.mark.parametrize(
        ("told", "outcome", "said"),
        [
            (DeviceBusy("it is in use"), Outcome.PASSED, "one at a time, whatever its group) was told: it is in use"),
            (
                None,
                Outcome.FAILED,
                "one at a time, whatever its group) should be told that the device is in use, and got: the device",
            ),
        ],
    )
    async def test_sharing_of_a_device_that_has_one_program_at_a_time(
        self, npu: ground.Subject, monkeypatch: pytest.MonkeyPatch, told: Any, outcome: Outcome, said: str
    ) -> None:
        tried: list[str] = []

        async def second(launch: Any, bench: Any) -> Exception | None:
            tried.append(launch.group)
            found: Exception | None = told
            return found

        monkeypatch.setattr(trials, "_second", second)
        old = replace(npu, identity=replace(npu.identity, name="HAILO8L"), launch=replace(npu.launch, group="SHARED"))
        result = await trials.sharing(old, _bench("right"))
        assert (result.outcome, said in result.said, tried) == (outcome, True, ["SHARED"]), result

    async def test_beside_somebody_neither_is_measured_nor_another_model_loaded(
        self, npu: ground.Subject, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        beside = replace(npu, sharing="Held besides by ollama (process 812).")
        bench = _bench(Failure("nothing is asked of it"))
        for trial in (trials.latency, trials.sharing):
            assert (await trial(beside, bench)).outcome is Outcome.SKIPPED

    async def test_recovery(self, cpu: ground.Subject) -> None:
        assert (await trials.recovery(cpu, _bench("right"))).outcome is Outcome.PASSED
        assert (await trials.recovery(cpu, _bench("nonsense"))).outcome is Outcome.FAILED

    def test_a_device_that_does_not_say_what_it_is(self, cpu: ground.Subject) -> None:
        assert trials.device(cpu).outcome is Outcome.PASSED
        silent = replace(cpu, identity=identity.Identity("a Hailo device", {}, "it hangs"))
        assert trials.device(silent) == failed("device", "a Hailo device: it hangs")

    async def test_one_that_fails_does_not_end_the_others(self, cpu: ground.Subject, monkeypatch: pytest.MonkeyPatch) -> None:
        import contextlib

        @contextlib.asynccontextmanager
        async def bench(_: Any) -> Any:
            yield _bench(Failure("it is broken"))

        monkeypatch.setattr(trials, "bench", bench)
        said: list[str] = []
        results = await trials.run(cpu, said.append)
        assert [result.trial for result in results] == ["device", "load", "accuracy", "latency", "kill", "sharing", "recovery"]
        assert results[2] == failed("accuracy", "it is broken")
        assert said[2] == "failed   accuracy: it is broken"

    @pytest.mark.parametrize(
        ("at", "expected"),
        [
            ("accuracy", [("device", "passed"), ("load", "passed"), ("accuracy", "failed"), ("recovery", "passed")]),
            ("load", [("device", "passed"), ("load", "failed")]),
            (
                "end",
                [("device", "passed"), ("load", "passed"), ("accuracy", "passed"), ("recovery", "passed"), ("end", "failed")],
            ),
        ],
    )
    async def test_what_nobody_thought_of_is_told_beside_what_is_known(
        self, cpu: ground.Subject, monkeypatch: pytest.MonkeyPatch, at: str, expected: list[tuple[str, str]]
    ) -> None:
        import contextlib

        @contextlib.asynccontextmanager
        async def bench(_: Any) -> Any:
            if at == "load":
                raise ValueError("unexpected")
            yield _bench("right")
            if at == "end":
                raise ValueError("unexpected")

        async def broken(*_: object) -> Result:
            raise ValueError("unexpected")

        monkeypatch.setattr(trials, "bench", bench)
        accuracy = broken if at == "accuracy" else trials.accuracy
        monkeypatch.setattr(trials, "TRIALS", (("accuracy", accuracy), ("recovery", trials.recovery)))
        results = await trials.run(cpu, lambda _: None)
        assert [(result.trial, result.outcome.value) for result in results] == expected
        assert [result.said for result in results if result.outcome is Outcome.FAILED] == ["ValueError: unexpected"]


RESULTS = [passed("load", "well | after\n2 s", load_seconds=2.0), failed("kill", "not well"), skipped("sharing", "alone")]


class TestReport:
    def test_the_markdown(self, npu: ground.Subject) -> None:
        text = report.as_markdown(npu, RESULTS)
        assert text.startswith("# hailo-whisper selftest: failed (emulated)\n")
        assert "**The device was emulated**" in text
        assert "| load | passed | well \\| after 2 s |" in text
        assert "| load | load_seconds | 2.0 (emulated) |" in text
        assert "| hailort | 5.2.0 (emulated) |" in text
        assert f"| python | {sys.version.split()[0]} |" in text

    def test_without_the_emulator(self, cpu: ground.Subject) -> None:
        text = report.as_markdown(cpu, [Result("load", Outcome.PASSED, "well")])
        assert text.startswith("# hailo-whisper selftest: passed\n")
        assert "mulated" not in text

    def test_the_json_has_a_stable_form_and_no_secrets(self, tmp_path: Path, machine: FakeMachine) -> None:
        keys = tmp_path / "keys"
        keys.write_text("kitchen:a-secret\n")
        subject = _subject(tmp_path, machine, access={"keys": str(keys)})
        text = json.dumps(report.as_json(subject, RESULTS))
        data = json.loads(text)
        assert set(data) == {
            "schema_version",
            "time",
            "outcome",
            "emulated",
            "root",
            "engine",
            "device",
            "model",
            "group",
            "cpu",
            "versions",
            "trials",
        }
        assert (data["schema_version"], data["outcome"], data["emulated"]) == (1, "failed", False)
        assert data["trials"][0] == {
            "trial": "load",
            "outcome": "passed",
            "said": "well | after\n2 s",
            "figures": {"load_seconds": 2.0},
        }
        for secret in ("a-secret", str(keys), os.uname().nodename):
            assert secret not in text

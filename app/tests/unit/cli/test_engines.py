"""`engine.kind: auto` takes the Hailo NPU where everything is there that it needs, and says what is missing where it is not."""

import logging
import sys
from pathlib import Path
from typing import Any

import pytest
from emulated import Device
from machines import FakeMachine
from stored import place, store_of

from hailo_whisper.accelerators.lack import Lack
from hailo_whisper.accelerators.machine import survey
from hailo_whisper.accelerators.nvidia import Gpu, Probe
from hailo_whisper.cli import assembly, engines
from hailo_whisper.engines.launch import Launch
from hailo_whisper.engines.warm_up import warm_up
from hailo_whisper.failure import Failure
from hailo_whisper.models.unusable import ModelMissing
from hailo_whisper.settings import Settings, parse


def _settings(tmp_path: Path, **more: Any) -> Settings:
    storage = {"models": str(tmp_path / "store")}
    return parse({"storage": storage, "hailo": {"resources": str(tmp_path / "resources")}} | more, "test")


@pytest.fixture
def machine(tmp_path: Path) -> FakeMachine:
    return FakeMachine(tmp_path / "root")


@pytest.fixture
def hef(device: Device, tmp_path: Path) -> Path:
    folder = tmp_path / "resources" / "models" / "hailo10h"
    folder.mkdir(parents=True)
    return device.hef(folder, says="hello")


@pytest.mark.parametrize("node", ["hailo0", "h1x-0"])
def test_a_device_by_either_name(tmp_path: Path, machine: FakeMachine, hef: Path, node: str) -> None:
    machine.hailo(node=node)
    assert engines.chosen(_settings(tmp_path), machine.root) == "hailo"


def test_what_is_missing_is_told(
    tmp_path: Path, machine: FakeMachine, hef: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    assert engines.chosen(_settings(tmp_path), machine.root) == "ctranslate2"
    assert "there is no Hailo device; there is no NVIDIA GPU" in caplog.text
    machine.hailo()
    hef.rename(hef.with_name("Whisper-Small.hef"))
    assert engines.chosen(_settings(tmp_path), machine.root) == "ctranslate2"
    assert "There is no HEF of the model base" in caplog.text
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if "emulator" not in folder])
    for name in [name for name in sys.modules if name.partition(".")[0] == "hailo_platform"]:
        monkeypatch.delitem(sys.modules, name)
    assert engines.chosen(_settings(tmp_path), machine.root) == "ctranslate2"
    assert "hailo_platform is not installed" in caplog.text


def test_driver_and_library_that_differ_leave_it_to_the_cpu(tmp_path: Path, machine: FakeMachine, hef: Path) -> None:
    machine.hailo("5.2.0")
    (machine.root / "usr/lib/libhailort.so.5.2.0").rename(machine.root / "usr/lib/libhailort.so.5.3.0")
    decision = engines.decide(_settings(tmp_path), survey(machine.root))
    assert decision.kind == "ctranslate2"
    assert "the Hailo driver is 5.2.0 and libhailort is 5.3.0" in decision.reason


class TestFallback:
    """What stands in for the engine, by the settings."""

    def _launch(self, tmp_path: Path, kind: str, **more: Any) -> Launch:
        config = {"engine": {"kind": kind, "fallback": "cpu"}, "models": {"catalog": str(tmp_path / "models.d")}} | more
        clip = warm_up(1)
        with clip.waveform:
            return assembly.launch(_settings(tmp_path, **config), None, clip)

    def test_nothing_unless_it_is_set(self, tmp_path: Path) -> None:
        clip = warm_up(1)
        with clip.waveform:
            assert assembly.launch(_settings(tmp_path, engine={"kind": "hailo"}), None, clip).stand_in is None
            assert self._launch(tmp_path, "ctranslate2").stand_in is None

    @pytest.mark.parametrize("name", ["small", "Whisper-Small", "whisper-small-int8", "whisper-small-hailo8"])
    def test_the_same_model_in_the_cpus_form(self, tmp_path: Path, name: str) -> None:
        folder = place(store_of(tmp_path, "small"), "small")
        launch = self._launch(tmp_path, "hailo", model={"name": name, "path": "/a/model.hef"})
        assert launch.stand_in
        assert (launch.stand_in.kind, launch.stand_in.engine, launch.stand_in.model) == (
            "ctranslate2",
            engines.CLASSES["ctranslate2"],
            name,
        )
        found = launch.stand_in.prepare()
        assert (found.name, found.path, found.fallback_for) == ("small", folder, None)

    def test_or_one_of_the_models_that_may_stand_in(self, tmp_path: Path) -> None:
        place(store_of(tmp_path, "small", "tiny"), "tiny")
        launch = self._launch(tmp_path, "hailo", model={"name": "small", "fallback": ["tiny"]})
        assert launch.stand_in
        found = launch.stand_in.prepare()
        assert (found.name, found.fallback_for) == ("tiny", "small")

    def test_without_either_the_command_is_told(self, tmp_path: Path) -> None:
        store_of(tmp_path, "small")
        with pytest.raises(Failure) as caught:
            assembly.prepare(self._launch(tmp_path, "hailo", model={"name": "Whisper-Small"}))
        assert "There is no HEF of the model Whisper-Small" in str(caught.value)
        assert "The CPU cannot take the place of the Hailo NPU (engine.fallback): The model small is not in " in str(caught.value)
        assert str(caught.value).endswith("Run `hailo-whisper models pull small`.")

    def test_a_reload_needs_one_of_both(self, tmp_path: Path) -> None:
        place(store_of(tmp_path, "small"), "small")
        assembly.prepare(self._launch(tmp_path, "hailo", model={"name": "small"}))
        clip = warm_up(1)
        with clip.waveform, pytest.raises(ModelMissing):
            assembly.prepare(assembly.launch(_settings(tmp_path, engine={"kind": "hailo"}), None, clip))

    @pytest.mark.parametrize("compute_type", ["int8_float16", "bfloat16", "auto", "float32"])
    def test_a_gpu_has_the_same_files_in_a_form_that_a_cpu_computes_in(self, tmp_path: Path, compute_type: str) -> None:
        model = {"name": "small", "compute_type": compute_type, "workers": 3, "path": str(tmp_path)}
        launch = self._launch(tmp_path, "cuda", model=model)
        assert launch.stand_in
        assert (launch.workers, launch.stand_in.workers) == (3, 0)
        assert (launch.compute_type, launch.stand_in.compute_type) == (compute_type, "int8")
        assert (launch.device, launch.stand_in.device) == ("cuda", "cpu")
        assert launch.processor == "the NVIDIA GPU"


def test_what_is_offered_besides_has_no_stand_in(tmp_path: Path) -> None:
    settings = _settings(tmp_path, engine={"kind": "cuda", "fallback": "cpu"}, models={"offered": ["small"]})
    clip = warm_up(1)
    with clip.waveform:
        assert assembly.launch(settings, None, clip, "small").stand_in is None


class TestCuda:
    GPU = Probe((Gpu("NVIDIA H200", 150_000),), "12.4")

    def test_a_gpu_is_taken(self, tmp_path: Path, machine: FakeMachine) -> None:
        machine.nvidia()
        decision = engines.decide(_settings(tmp_path), survey(machine.root, ask=lambda: self.GPU))
        assert decision == engines.Decision(
            "cuda",
            "the NVIDIA GPU transcribes: all that it needs is there, and there is no Hailo device",
            {"hailo": "there is no Hailo device"},
        )

    def test_a_npu_comes_before_it(self, tmp_path: Path, machine: FakeMachine, hef: Path) -> None:
        machine.nvidia()
        machine.hailo()
        assert engines.decide(_settings(tmp_path), survey(machine.root, ask=lambda: self.GPU)).kind == "hailo"

    def test_the_cpu_where_it_cannot_be_used(self, tmp_path: Path, machine: FakeMachine) -> None:
        machine.nvidia(libraries=False)
        decision = engines.decide(_settings(tmp_path), survey(machine.root, ask=lambda: self.GPU))
        assert decision.kind == "ctranslate2"
        assert "pip install nvidia-cublas-cu12" in decision.reason

    def test_the_cpu_where_the_driver_refuses(self, tmp_path: Path, machine: FakeMachine) -> None:
        machine.nvidia()
        decision = engines.decide(
            _settings(tmp_path), survey(machine.root, ask=lambda: Probe(trouble=Lack("the driver has failed", "try again")))
        )
        assert (decision.kind, decision.lacking["cuda"]) == ("ctranslate2", "the driver has failed: try again")

    @pytest.mark.parametrize(
        ("kind", "compute_type", "expected"),
        [
            ("auto", "int8_float16", ("int8", 0)),
            ("auto", "float32", ("float32", 3)),
            ("auto", "auto", ("auto", 3)),
            # Whoever insists on the CPU is told that it cannot.
            ("ctranslate2", "int8_float16", ("int8_float16", 3)),
        ],
    )
    def test_what_is_set_for_it_keeps_no_cpu_from_serving(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, compute_type: str, expected: tuple[str, int]
    ) -> None:
        monkeypatch.setattr(engines, "chosen", lambda _: "ctranslate2")
        settings = _settings(tmp_path, engine={"kind": kind}, model={"compute_type": compute_type, "workers": 3})
        clip = warm_up(1)
        with clip.waveform:
            launch = assembly.launch(settings, None, clip)
        assert (launch.compute_type, launch.workers) == expected

    def test_it_is_handed_to_the_engine(self, tmp_path: Path) -> None:
        clip = warm_up(1)
        with clip.waveform:
            settings = _settings(tmp_path, engine={"kind": "cuda"})
            launches = [assembly.launch(settings, None, clip), assembly.launch(settings, None, clip, "tiny")]
            cpu = assembly.launch(_settings(tmp_path), None, clip)
        assert {(launch.engine, launch.device) for launch in launches} == {(engines.CLASSES["cuda"], "cuda")}
        assert (cpu.engine, cpu.device) == (engines.CLASSES["ctranslate2"], "cpu")


@pytest.mark.parametrize("kind", ["ctranslate2", "cuda", "hailo"])
def test_the_one_that_is_set(tmp_path: Path, machine: FakeMachine, kind: str) -> None:
    settings = _settings(tmp_path, engine={"kind": kind}, hailo={"group": "MINE", "device_wait_seconds": 7.0})
    assert engines.chosen(settings, machine.root) == kind
    assert engines.decide(settings, survey(machine.root)).reason == f"engine.kind is set to {kind}."
    clip = warm_up(1)
    with clip.waveform:
        launch = assembly.launch(settings, None, clip)
    assert launch.engine == engines.CLASSES[kind]
    assert (launch.group, launch.device_wait) == ("MINE", 7.0)
    with pytest.raises(ModelMissing, match="HEF" if kind == "hailo" else "models pull"):
        launch.prepare()


def test_the_hef_is_what_the_worker_loads(tmp_path: Path, hef: Path) -> None:
    clip = warm_up(1)
    with clip.waveform:
        assert assembly.launch(_settings(tmp_path, engine={"kind": "hailo"}), None, clip).prepare().path == hef


def test_every_class_that_may_be_chosen_is_there() -> None:
    for name in engines.CLASSES.values():
        module, _, kind = name.partition(":")
        assert hasattr(__import__(module, fromlist=[kind]), kind)

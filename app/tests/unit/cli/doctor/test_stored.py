import errno
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from emulated import Device
from machines import FakeMachine
from patients import WELL, patient
from stored import cache, place, store_of

from hailo_whisper.cli.doctor import stored
from hailo_whisper.cli.doctor.finding import State
from hailo_whisper.cli.doctor.patient import Patient
from hailo_whisper.models.store import Store
from hailo_whisper.settings import Settings

CUDA: dict[str, Any] = {"engine": {"kind": "cuda"}}


@pytest.fixture
def store(machine: FakeMachine) -> Store:
    return store_of(machine.root, "large", "small")


def _patient(machine: FakeMachine, models: dict[str, Any] | None = None, **sections: Any) -> Patient:
    return patient(machine, models={"catalog": str(machine.root / "models.d")} | (models or {}), **sections)


def test_a_model_as_it_was_verified_and_changed_since(machine: FakeMachine, store: Store) -> None:
    folder = place(store, "large")
    one = _patient(machine, model={"name": "large"})
    (found,) = stored.models(one)
    assert (found.state, found.found) == (State.OK, f"large in {folder}, as it was verified")
    (folder / "model.bin").write_bytes((folder / "model.bin").read_bytes())
    (found,) = stored.models(one)
    assert (found.state, "models verify large" in str(found.cure)) == (State.WARNING, True)
    (folder / "model.bin").unlink()
    (found,) = stored.models(one)
    assert (found.state, "half downloaded" in found.found) == (State.BROKEN, True)


def test_a_model_in_a_hub_s_cache(machine: FakeMachine, store: Store) -> None:
    folder = cache(machine.root / "hub", "large")
    (found,) = stored.models(_patient(machine, model={"name": "large"}, storage={"hub_cache": str(machine.root / "hub")}))
    assert (found.state, found.found) == (State.OK, f"large in {folder}, whose sums are compared when it is loaded")


def test_one_that_is_missing(machine: FakeMachine) -> None:
    (found,) = stored.models(patient(machine))
    assert (found.state, found.cure) == (State.BROKEN, "Run `hailo-whisper models pull base`.")
    assert found.found.startswith("The model base is not in")


def test_one_for_which_another_stands_in(machine: FakeMachine, store: Store) -> None:
    place(store, "small")
    (found,) = stored.models(_patient(machine, model={"name": "large", "fallback": ["small"]}))
    assert (found.state, "small stands in for it" in found.found) == (State.WARNING, True)


def test_those_that_are_offered(machine: FakeMachine, store: Store) -> None:
    place(store, "large")
    found = stored.models(_patient(machine, {"offered": ["small", "large"]}, model={"name": "large"}))
    assert [(each.check, each.state) for each in found] == [("model", State.OK), ("model-offered", State.WARNING)]
    assert found[1].cure == "Run `hailo-whisper models pull small`."


def test_a_folder_of_ones_own(machine: FakeMachine, model_folder: Path) -> None:
    (found,) = stored.models(patient(machine, model={"path": str(model_folder / "none")}))
    assert found.state is State.BROKEN
    (model_folder / "config.json").write_text('{"suppress_ids": []}')
    (model_folder / "model.bin").write_bytes(b"\x06\x00\x00\x00\x0c\x00WhisperSpec\x00" + b"\0" * 64)
    (found,) = stored.models(patient(machine, model={"path": str(model_folder)}))
    assert found.state in (State.OK, State.BROKEN)
    assert str(model_folder) in found.found


def test_a_catalog_that_cannot_be_read(machine: FakeMachine) -> None:
    machine.write("models.d/bad.yaml", "models: 1\n")
    (found,) = stored.models(_patient(machine))
    assert (found.state, "bad.yaml" in found.found) == (State.BROKEN, True)


def _with_binding(one: Patient) -> Patient:
    return replace(one, machine=replace(one.machine, npu=replace(one.machine.npu, binding=True)))


def test_a_store_that_this_user_may_not_see(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.hailo()
    one = _with_binding(patient(machine, is_root=False, model={"name": "base"}))
    is_dir = Path.is_dir

    def refuse(path: Path) -> bool:
        if path.is_relative_to(machine.root / "store"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return is_dir(path)

    monkeypatch.setattr(Path, "is_dir", refuse)
    (engine,), (model,) = stored.engine(one), stored.models(replace(one, settings=_hailo(one)))
    assert (engine.state, "may not be read by this user" in engine.found) == (State.WARNING, True)
    assert (model.state, "Run the command as root" in str(model.cure)) == (State.WARNING, True)
    assert "may not be read" in model.found


def _hailo(one: Patient) -> Settings:
    return one.settings.model_copy(update={"engine": one.settings.engine.model_copy(update={"kind": "hailo"})})


def test_whether_the_cpu_could_take_the_place_of_the_npu(machine: FakeMachine, store: Store, device: Device) -> None:
    hef = device.hef(machine.root, says="hello")
    sections: dict[str, Any] = {"engine": {"kind": "hailo", "fallback": "cpu"}, "model": {"name": "small", "path": str(hef)}}
    _, missing = stored.models(_patient(machine, **sections))
    assert (missing.check, missing.state, missing.cure) == (
        "model-fallback",
        State.WARNING,
        "Run `hailo-whisper models pull small`.",
    )
    folder = place(store, "small")
    _, there = stored.models(_patient(machine, **sections))
    assert (there.check, there.state, there.found) == ("model-fallback", State.OK, f"small in {folder}, for the CPU")
    sections["engine"] = {"kind": "hailo"}
    assert len(stored.models(_patient(machine, **sections))) == 1, "nothing is to take its place"


class TestEngine:
    def test_the_cpu_where_there_is_nothing_better(self, machine: FakeMachine) -> None:
        (found,) = stored.engine(patient(machine))
        assert found.state is State.OK
        assert found.found == "ctranslate2: the CPU transcribes: there is no Hailo device; there is no NVIDIA GPU"

    def test_the_cpu_although_there_is_something_better(self, machine: FakeMachine) -> None:
        machine.nvidia(libraries=False)
        (found,) = stored.engine(patient(machine))
        assert (found.state, "nvidia-cublas-cu12" in found.found) == (State.WARNING, True)

    def test_the_npu(self, machine: FakeMachine, device: Device) -> None:
        machine.hailo()
        hef = device.hef(machine.root, says="hello")
        one = _with_binding(patient(machine, model={"path": str(hef)}))
        (found,) = stored.engine(one)
        assert (found.state, found.found[:24]) == (State.OK, "hailo: the Hailo NPU tra")
        (model,) = stored.models(one)
        assert (model.state, str(hef) in model.found) == (State.OK, True)
        (hidden,) = stored.engine(replace(one, units=patient(machine, service=WELL).units))
        assert (hidden.state, "the unit hides the hailo device" in hidden.found) == (State.WARNING, True)

    def test_the_one_that_is_set(self, machine: FakeMachine) -> None:
        (found,) = stored.engine(patient(machine, **CUDA))
        assert (found.state, "there is no NVIDIA GPU" in found.found, "auto" in str(found.cure)) == (State.BROKEN, True, True)
        machine.nvidia()
        (found,) = stored.engine(patient(machine, **CUDA))
        assert (found.state, found.found) == (State.OK, "cuda: engine.kind is set to cuda.")
        (found,) = stored.engine(patient(machine, engine={"kind": "ctranslate2"}))
        assert found.state is State.OK, "it is meant"

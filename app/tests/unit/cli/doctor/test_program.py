import datetime
import os
import shutil
from pathlib import Path

import pytest
from machines import FakeMachine
from patients import WELL, patient

from hailo_whisper.cli.doctor import program
from hailo_whisper.cli.doctor.finding import State
from hailo_whisper.service import memory as memories


@pytest.mark.parametrize(
    ("version", "libc", "release", "state"),
    [
        ((3, 11), "glibc", "2.36", State.OK),
        ((3, 13), "glibc", "2.28", State.OK),
        ((3, 10), "glibc", "2.36", State.BROKEN),
        ((3, 14), "glibc", "2.41", State.BROKEN),
        ((3, 11), "glibc", "2.27", State.BROKEN),
        ((3, 12), "", "", State.WARNING),
    ],
)
def test_the_interpreter_and_the_c_library(version: tuple[int, int], libc: str, release: str, state: State) -> None:
    found = program.judged("this", version, libc, release)
    assert (found.state, found.cure is None) == (state, state is State.OK)


def test_this_ones(machine: FakeMachine) -> None:
    (found,) = program.python(patient(machine))
    assert found.state is State.OK
    assert "Python 3." in found.found


@pytest.mark.parametrize(
    ("said", "state", "shown"),
    [("yes", "ok", ", synchronised"), ("no", "warning", "not synchronised"), (None, "ok", "not known")],
)
def test_the_clock(machine: FakeMachine, said: str | None, state: str, shown: str) -> None:
    (found,) = program.clock(patient(machine, said={"timedatectl": said} if said else {}))
    assert (found.state, shown in found.found) == (state, True)


def test_a_clock_that_is_behind_the_program(machine: FakeMachine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=2)).timestamp()
    path = tmp_path / "module.py"
    path.touch()
    os.utime(path, (later, later))
    monkeypatch.setattr(program, "SOURCE", path)
    (found,) = program.clock(patient(machine))
    assert (found.state, "before this program was installed" in found.found) == (State.BROKEN, True)


@pytest.mark.parametrize(("available", "state"), [(8_000_000, State.OK), (100_000, State.WARNING)])
def test_memory(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch, available: int, state: State) -> None:
    monkeypatch.setattr(memories, "machine_mb", lambda: 8000)
    machine.write("proc/meminfo", f"MemTotal:       8000000 kB\nMemAvailable:   {available} kB\n")
    (found,) = program.memory(patient(machine))
    assert found.state is state
    (served,) = program.memory(patient(machine, service=WELL))
    assert served.state is State.OK, "what the service itself has is not missing to it"


def test_a_model_that_is_larger_than_the_machine(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memories, "machine_mb", lambda: 900)
    (found,) = program.memory(patient(machine, model={"name": "large-v3"}))
    assert (found.state, "models list" in str(found.cure)) == (State.BROKEN, True)


@pytest.mark.parametrize(("free", "state"), [(5000, State.OK), (300, State.WARNING), (10, State.BROKEN)])
def test_room(free: int, state: State) -> None:
    assert program.room("disk", Path("/var/lib"), free).state is state


def test_the_disk_of_folders_that_are_not_there_yet(machine: FakeMachine) -> None:
    (found,) = program.disk(patient(machine, storage={"models": "/var/lib/models", "cache": "/var/cache"}))
    assert "MB free for /var/lib/models" in found.found


def test_a_disk_that_cannot_be_looked_at(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(shutil, "disk_usage", refuse)
    found, _ = program.disk(patient(machine))
    assert (found.state, "Input/output error" in found.found) == (State.BROKEN, True)


def test_versions_for_the_report(machine: FakeMachine) -> None:
    found = program.versions()
    assert found["python"]
    assert found["ctranslate2"]
    machine.write("etc/os-release", 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n')
    assert program.system(machine.root) == "Debian GNU/Linux 12 (bookworm)"
    assert program.system(machine.root / "none") is None

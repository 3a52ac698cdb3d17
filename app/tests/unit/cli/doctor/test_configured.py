from pathlib import Path
from typing import Any

import pytest
import yaml
from machines import FakeMachine
from patients import WELL, patient

from hailo_whisper import settings as configuration
from hailo_whisper.cli import main
from hailo_whisper.cli.doctor import configured
from hailo_whisper.cli.doctor.finding import State


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "none"))


def _written(machine: FakeMachine, config: dict[str, Any]) -> Path:
    return machine.write("etc/hailo/hailo-whisper.yaml", yaml.safe_dump(config))


def test_none_and_one_that_is_valid(machine: FakeMachine) -> None:
    (found,) = configured.valid(patient(machine))
    assert (found.state, "default" in found.found) == (State.OK, True)
    _written(machine, {"server": {"port": 12000}})
    (found,) = configured.valid(patient(machine))
    assert (found.state, found.found) == (State.OK, "/etc/hailo/hailo-whisper.yaml is valid")


def test_each_mistake_has_a_line_that_says_what_may_have_been_meant(machine: FakeMachine) -> None:
    _written(machine, {"server": {"prot": 1}, "model": {"nam": "base"}})
    found = configured.valid(patient(machine))
    assert [each.state for each in found] == [State.BROKEN] * 2
    assert {"Did you mean server.port?", "Did you mean model.name?"} == {
        each.found.rpartition("  ")[2].split(". ")[-1] for each in found
    }


def test_a_mistake_in_the_environment(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAILO_WHISPER_SERVER_PROT", "1")
    (found,) = configured.valid(patient(machine))
    assert (found.check, found.state) == ("configuration-in-force", State.BROKEN)
    assert "HAILO_WHISPER_SERVER_PORT" in found.found


def test_the_file_that_was_asked_for(machine: FakeMachine, tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("sever: {}\n")
    (found,) = configured.valid(patient(machine, config=path))
    assert str(path) in found.found


def test_what_is_made_from_it(machine: FakeMachine) -> None:
    assert configured.generated(patient(machine)) == [], "there is nothing to make it from"
    source = _written(machine, {"server": {"port": 12000}})
    (found,) = configured.generated(patient(machine, service=WELL))
    assert (found.state, "missing: /etc/xdg" in found.found) == (State.BROKEN, True)
    assert main(["config", "render", "--source", str(source), "--root", str(machine.root)]) == 0
    (found,) = configured.generated(patient(machine, service=WELL))
    assert (found.state, found.cure) == (State.OK, None)
    _written(machine, {"server": {"port": 12001}})
    (found,) = configured.generated(patient(machine, service=WELL))
    assert found.state is State.WARNING
    assert "/etc/xdg/hailo-whisper/hailo-whisper.json, /etc/systemd/system/hailo-whisper.socket.d/50-config.conf" in found.found
    assert "config render" in str(found.cure)
    source.write_text("sever: {}\n")
    assert configured.generated(patient(machine, service=WELL)) == [], "another line says what is wrong with it"


class TestKeys:
    def test_none(self, machine: FakeMachine) -> None:
        (found,) = configured.keys(patient(machine))
        assert found.state is State.OK

    def test_strangers_without_keys(self, machine: FakeMachine) -> None:
        (found,) = configured.keys(patient(machine, server={"host": "0.0.0.0"}))
        assert (found.state, "hailo-whisper keys add" in str(found.cure)) == (State.BROKEN, True)

    def test_strangers_who_are_meant(self, machine: FakeMachine) -> None:
        (found,) = configured.keys(patient(machine, server={"host": "0.0.0.0"}, access={"insecure": True}))
        assert found.state is State.WARNING

    def test_a_key_file(self, machine: FakeMachine) -> None:
        secret = "a-secret-of-32-letters-or-about"
        path = machine.write("etc/hailo/keys", f"kitchen:{secret}\n")
        path.chmod(0o640)
        one = patient(machine, access={"keys": "/etc/hailo/keys"})
        (found,) = configured.keys(one)
        assert (found.state, found.found) == (State.OK, "1 in /etc/hailo/keys")
        path.chmod(0o644)
        (found,) = configured.keys(one)
        assert (found.state, "chmod o=" in str(found.cure)) == (State.BROKEN, True)
        path.chmod(0o640)
        path.write_text(f"kitchen {secret}\n")
        (found,) = configured.keys(one)
        assert found.state is State.BROKEN
        assert secret not in f"{found}"

    def test_one_that_this_user_may_not_read(self, machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(path: Path) -> None:
            try:
                raise PermissionError(13, "Permission denied")
            except PermissionError:
                raise configuration_trouble(path) from None

        from hailo_whisper.keys import file

        def configuration_trouble(path: Path) -> file.KeysUnusable:
            return file.KeysUnusable(f"The key file {path} cannot be read by this user: Permission denied. Root can.")

        monkeypatch.setattr(file, "read", refuse)
        one = patient(machine, access={"keys": "/etc/hailo/keys"}, is_root=False)
        (found,) = configured.keys(one)
        assert (found.state, "as root" in str(found.cure)) == (State.WARNING, True)


def test_the_sources_are_the_programs_own() -> None:
    assert Path("/") / configured.SOURCE == configuration.SOURCE

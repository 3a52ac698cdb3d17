"""What is found of a Hailo device, on machines that are folders."""

import importlib
from dataclasses import replace
from pathlib import Path

import pytest
from emulated import Device
from machines import FakeMachine

from hailo_whisper.accelerators import accounts, hailo
from hailo_whisper.accelerators.lack import Lack


@pytest.fixture
def machine(tmp_path: Path) -> FakeMachine:
    return FakeMachine(tmp_path / "root")


@pytest.fixture
def service(machine: FakeMachine) -> accounts.User:
    user = accounts.user(machine.root, "hailo-whisper")
    assert user is not None
    return user


def _whole(machine: FakeMachine, user: accounts.User | None = None) -> hailo.Hailo:
    """With a binding, which no folder can have."""
    found = hailo.survey(machine.root, user)
    return replace(found, binding=True, binding_version=found.driver.version if found.driver else None)


@pytest.mark.parametrize("architecture", ["hailo8-family", "hailo8", "hailo8l", "HAILO8", "DeviceArchitectureTypes.HAILO8L"])
def test_a_device_of_one_process_at_a_time(architecture: str) -> None:
    assert not hailo.shares(architecture)


@pytest.mark.parametrize("architecture", ["hailo10h", "HAILO10H", "unknown (0x1234)", None])
def test_a_device_of_a_group_of_processes(architecture: str | None) -> None:
    assert hailo.shares(architecture)


@pytest.mark.parametrize("node", ["hailo0", "h1x-0"])
@pytest.mark.parametrize("module", ["hailo1x_pci", "hailo_pci"])
def test_a_device_by_either_name_and_driver(machine: FakeMachine, node: str, module: str) -> None:
    machine.hailo("5.3.0", node=node, module=module)
    machine.node("hailo_something_else")
    found = _whole(machine)
    assert [each.path for each in found.nodes] == [f"/dev/{node}"]
    assert found.boards == (hailo.Board("0000:00:00.0", "hailo10h"),)
    assert found.driver == hailo.Driver(module, "5.3.0")
    assert found.libraries == ("5.3.0",)
    assert hailo.lacking(found) is None


def test_a_folder_of_that_name_with_nothing_in_it_is_no_binding(
    machine: FakeMachine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hailo_platform").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert not hailo.survey(machine.root).binding
    (tmp_path / "hailo_platform/__init__.py").touch()
    importlib.invalidate_caches()
    assert hailo.survey(machine.root).binding


def test_a_machine_without(machine: FakeMachine) -> None:
    machine.board("0x8086", "0x1234")
    found = hailo.survey(machine.root)
    assert not found.present
    assert hailo.lacking(found) == Lack("there is no Hailo device")


def test_a_machine_whose_folders_are_not_there(tmp_path: Path) -> None:
    assert not hailo.survey(tmp_path / "nothing").present


def test_a_device_without_its_driver(machine: FakeMachine) -> None:
    machine.board("0x1e60", "0x2864")
    found = hailo.survey(machine.root)
    assert (found.boards[0].architecture, found.driver) == ("hailo8-family", None)
    assert "not its driver: install" in str(hailo.lacking(found))


def test_a_driver_that_does_not_tell_its_version(machine: FakeMachine) -> None:
    machine.hailo()
    (machine.root / "sys/module/hailo1x_pci/version").unlink()
    assert hailo.survey(machine.root).driver == hailo.Driver("hailo1x_pci", None)
    assert hailo.lacking(_whole(machine)) is None, "what is not known differs from nothing"


@pytest.mark.parametrize(("mode", "openable"), [(0o600, False), (0o660, False), (0o666, True)])
def test_who_may_open_it(machine: FakeMachine, service: accounts.User, mode: int, openable: bool) -> None:
    machine.hailo(mode=mode)
    found = _whole(machine, service)
    (node,) = found.nodes
    assert (node.openable, node.owner) == (openable, accounts.owner_name(machine.root, 0))
    assert (
        hailo.lacking(found) is None
        if openable
        else f"may not open /dev/hailo0 (root:root {mode:04o})" in str(hailo.lacking(found))
    )


def test_a_member_of_the_nodes_group_may(machine: FakeMachine) -> None:
    machine.hailo(mode=0o660)
    gid = (machine.root / "dev/hailo0").stat().st_gid
    member = accounts.User("hailo-whisper", 990, (990, gid))
    stranger = accounts.User("hailo-whisper", 990, (990,))
    assert [hailo.survey(machine.root, user).nodes[0].openable for user in (member, stranger)] == [True, False]


def test_the_services_user_has_its_groups(machine: FakeMachine, service: accounts.User) -> None:
    assert service == accounts.User("hailo-whisper", 990, (990, 980))
    assert accounts.user(machine.root, "nobody-here") is None
    assert (accounts.group_id(machine.root, "hailo"), accounts.group_id(machine.root, "none")) == (980, None)
    assert accounts.group_name(machine.root, 12345) == "12345"


def test_versions_that_differ(machine: FakeMachine) -> None:
    machine.hailo("5.2.0")
    assert hailo.mismatch(_whole(machine)) is None
    assert hailo.mismatch(replace(_whole(machine), binding_version="5.1.1")) == Lack(
        "the Hailo driver is 5.2.0 and HailoRT's Python binding is 5.1.1", "install both of one version, and restart the machine"
    )
    assert "libhailort is 5.3.0" in str(hailo.mismatch(replace(_whole(machine), libraries=("5.3.0",))))
    assert hailo.mismatch(replace(_whole(machine), libraries=("5.1.1", "5.2.0"))) is None, "which of two is used is not known"


def test_a_device_without_the_binding(machine: FakeMachine) -> None:
    machine.hailo()
    assert "hailo_platform is not installed: install python3-h10-hailort" in str(
        hailo.lacking(replace(_whole(machine), binding=False))
    )


@pytest.mark.usefixtures("in_image")
def test_in_a_container_it_is_the_host_that_gives_it(machine: FakeMachine) -> None:
    machine.hailo(mode=0o600)
    closed = hailo.lacking(_whole(machine, accounts.User("nobody", 11437, (11437,))))
    assert closed
    assert "`--group-add` with what `stat -c %g /dev/hailo0` says on the host" in closed.cure
    (machine.root / "dev/hailo0").chmod(0o666)
    assert hailo.lacking(replace(_whole(machine), binding=False)) == Lack(
        "there is a Hailo device, but HailoRT's Python package hailo_platform is not installed", hailo.MOUNT
    )
    assert hailo.mismatch(replace(_whole(machine), binding_version="5.1.1")) == Lack(
        "the Hailo driver is 5.2.0 and HailoRT's Python binding is 5.1.1", hailo.MOUNT
    )
    (machine.root / "dev/hailo0").unlink()
    assert "this container has not been given it: `--device=/dev/hailo0`" in str(hailo.lacking(_whole(machine)))


def test_the_binding_says_its_version_and_that_it_is_emulated(device: Device) -> None:
    device.become("5.3.0")
    assert hailo.ask_binding() == hailo.Binding("5.3.0", emulated=True)


def _shadow(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    (folder / "hailo_platform.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(folder))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("raise ImportError('libhailort.so.5: cannot open shared object file')", "ImportError: libhailort.so.5"),
        ("import os; os.abort()", "status -6"),
        ("import os; os._exit(0)", "did not say what it is"),
        ("import time; time.sleep(60)", "did not load within 1 s"),
    ],
)
def test_a_binding_that_cannot_be_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str) -> None:
    _shadow(tmp_path, monkeypatch, text)
    assert said in (hailo.ask_binding(1.0 if "sleep" in text else hailo.SECONDS).trouble or "")


def test_a_binding_of_a_real_release_is_not_emulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _shadow(tmp_path, monkeypatch, "__version__ = '5.2.0'")
    assert hailo.ask_binding() == hailo.Binding("5.2.0", emulated=False)

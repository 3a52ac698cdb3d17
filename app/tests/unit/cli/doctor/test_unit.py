import json

import pytest
from machines import FakeMachine
from patients import WELL, patient

from hailo_whisper.cli.doctor import unit, units
from hailo_whisper.cli.doctor.finding import State

SHOWN = """Id=hailo-whisper.service
LoadState=loaded
ActiveState=active
StatusText=ready: model base
DropInPaths=/etc/systemd/system/hailo-whisper.service.d/50-config.conf /etc/systemd/system/hailo-whisper.service.d/10-hailo.conf
PrivateDevices=no

Id=hailo-whisper.socket
LoadState=loaded
ActiveState=active
"""


def test_what_systemd_shows(machine: FakeMachine) -> None:
    assert units.survey(machine.root, lambda _: SHOWN) is None, "it does not run there"
    (machine.root / "run/systemd/system").mkdir(parents=True)
    assert units.survey(machine.root, lambda _: None) is None, "it does not answer"
    found = units.survey(machine.root, lambda _: SHOWN)
    assert found is not None
    assert (found.service.status_text, found.service.private_devices, found.socket.active_state) == (
        "ready: model base",
        "no",
        "active",
    )
    assert [path.rpartition("/")[2] for path in found.service.drop_ins] == ["50-config.conf", "10-hailo.conf"]
    assert not units.Unit({}).installed


@pytest.mark.parametrize(
    ("service", "socket", "state", "shown"),
    [
        (None, {}, State.OK, "no systemd here"),
        ({"LoadState": "not-found"}, {}, State.OK, "not installed"),
        (WELL | {"StatusText": "ready: model base"}, {}, State.OK, "active (running), drop-ins: none; ready: model base"),
        (WELL | {"ActiveState": "inactive", "SubState": "dead"}, {"ActiveState": "active"}, State.OK, "inactive (dead)"),
        (WELL | {"ActiveState": "inactive", "SubState": "dead"}, {"ActiveState": "inactive"}, State.BROKEN, "inactive (dead)"),
        (WELL | {"UnitFileState": "disabled"}, {}, State.WARNING, "disabled, active"),
        (WELL | {"NeedDaemonReload": "yes"}, {}, State.WARNING, "files changed since"),
        ({"LoadState": "masked"}, {}, State.BROKEN, "masked"),
        (WELL | {"SubState": "auto-restart", "NRestarts": "7"}, {}, State.BROKEN, "7 times so far"),
        (WELL | {"SubState": "auto-restart", "NeedDaemonReload": "yes"}, {}, State.BROKEN, "is started again"),
        (WELL | {"ActiveState": "failed", "Result": "exit-code"}, {}, State.BROKEN, "result: exit-code"),
    ],
)
def test_how_it_is(
    machine: FakeMachine, service: dict[str, str] | None, socket: dict[str, str], state: State, shown: str
) -> None:
    (found,) = unit.unit(patient(machine, service=service, socket=socket))
    assert (found.state, shown in found.found, found.cure is None) == (state, True, state is State.OK), found


def test_a_failed_one_shows_the_last_lines_of_the_log(machine: FakeMachine) -> None:
    failed = WELL | {"ActiveState": "failed", "Result": "exit-code"}
    log = json.dumps({"message": "Cannot listen on 127.0.0.1 port 11437", "level": "error"}) + "\nnot JSON\n[1]"
    (found,) = unit.unit(patient(machine, service=failed, said={"journalctl": log}))
    assert found.found.endswith("The log ends with: Cannot listen on 127.0.0.1 port 11437 / not JSON / [1]")
    (found,) = unit.unit(patient(machine, service=failed, is_root=False))
    assert found.found.endswith("`journalctl -u hailo-whisper.service` says why, to root.")


class TestDevice:
    def test_nothing_to_let_in(self, machine: FakeMachine) -> None:
        assert unit.device(patient(machine, service=WELL)) == []
        machine.hailo()
        assert unit.device(patient(machine)) == [], "there is no unit"

    @pytest.mark.parametrize(
        ("kind", "state"), [("auto", State.WARNING), ("hailo", State.BROKEN), ("ctranslate2", State.WARNING)]
    )
    def test_one_that_is_hidden(self, machine: FakeMachine, kind: str, state: State) -> None:
        machine.hailo()
        (found,) = unit.device(patient(machine, service=WELL, engine={"kind": kind}))
        assert (found.state, "10-hailo.conf" in str(found.cure)) == (state, True)

    def test_one_that_is_let_in(self, machine: FakeMachine) -> None:
        machine.nvidia()
        machine.write("etc/systemd/system/hailo-whisper.service.d/10-nvidia.conf", "[Service]\nPrivateDevices=no\n")
        (found,) = unit.device(patient(machine, service=WELL | {"PrivateDevices": "no"}))
        assert (found.state, "10-nvidia.conf" in found.found) == (State.OK, True)

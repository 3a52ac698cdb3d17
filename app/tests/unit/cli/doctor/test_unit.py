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
DropInPaths=/etc/systemd/system/hailo-whisper.service.d/50-config.conf /usr/lib/systemd/system/hailo-whisper.service.d/10-hailo.conf
PrivateDevices=no
DevicePolicy=closed
DeviceAllow=char-hailo1x rw
DeviceAllow=char-hailo rw

Id=hailo-whisper.socket
LoadState=loaded
ActiveState=active
"""
# As systemd shows it with packaging/systemd/hailo-whisper.service.d/10-nvidia.conf where the role puts it.
NVIDIA = {
    "PrivateDevices": "no",
    "DevicePolicy": "closed",
    "DeviceAllow": "char-nvidia rw\nchar-nvidia-frontend rw\nchar-nvidiactl rw\nchar-nvidia-uvm rw\nchar-nvidia-caps rw",
    "DropInPaths": "/usr/lib/systemd/system/hailo-whisper.service.d/10-nvidia.conf",
}


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
    assert found.service.device_allow == "char-hailo1x rw\nchar-hailo rw"
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


def test_what_systemd_adds_does_not_hide_what_the_service_said(machine: FakeMachine) -> None:
    again = WELL | {"SubState": "auto-restart", "NRestarts": "7", "Result": "exit-code"}
    systemds = "hailo-whisper.service: Failed with result 'exit-code'.\nFailed to start hailo-whisper.service - hailo-whisper."
    log = f"hailo-whisper: There is no /etc/x.\n{systemds}"
    (found,) = unit.unit(patient(machine, service=again, said={"journalctl": log}))
    assert found.found.endswith("(7 times so far, result: exit-code). The log ends with: hailo-whisper: There is no /etc/x.")
    (found,) = unit.unit(patient(machine, service=again, said={"journalctl": systemds}))
    assert found.found.endswith("Failed to start hailo-whisper.service - hailo-whisper.")


class TestDevice:
    def test_nothing_to_let_in(self, machine: FakeMachine) -> None:
        assert unit.device(patient(machine, service=WELL)) == []
        machine.hailo()
        assert unit.device(patient(machine)) == [], "there is no unit"

    @pytest.mark.parametrize(("kind", "state"), [("auto", State.WARNING), ("hailo", State.BROKEN), ("cuda", State.WARNING)])
    def test_one_that_is_hidden(self, machine: FakeMachine, kind: str, state: State) -> None:
        machine.hailo()
        (found,) = unit.device(patient(machine, service=WELL, engine={"kind": kind}))
        assert (found.state, found.found) == (state, "the unit hides the hailo device (PrivateDevices=yes)")
        assert "the package hailo-whisper-accel-hailo brings it, or the role accelerator" in str(found.cure)

    def test_one_that_is_let_in(self, machine: FakeMachine) -> None:
        machine.nvidia()
        (found,) = unit.device(patient(machine, service=WELL | NVIDIA))
        assert (found.state, found.found) == (State.OK, "the unit lets the accelerator in (10-nvidia.conf)")

    def test_with_both_only_the_one_that_is_named_gets_in(self, machine: FakeMachine) -> None:
        machine.nvidia()
        machine.hailo()
        one = patient(machine, service=WELL | NVIDIA)
        (found,) = unit.device(one)
        assert (found.state, found.found) == (
            State.WARNING,
            "the unit hides the hailo device (DevicePolicy=closed without DeviceAllow=char-hailo1x rw)",
        )
        assert "the unit hides the hailo device" in one.decision.lacking["hailo"]

    @pytest.mark.parametrize(
        ("allowed", "devices", "let_in"),
        [
            ("char-hailo1x rw\nchar-hailo rw", "", True),
            ("char-hailo rw", "235 hailo", True),
            ("char-hailo rw", "235 hailo1x", False),
            ("char-hailo* rw", "235 hailo1x", True),
            ("char-hailo1x r", "", False),
            ("/dev/hailo0 rwm", "", True),
            ("/dev/null rw", "", False),
            ("", "", False),
        ],
    )
    def test_what_lets_it_in(self, machine: FakeMachine, allowed: str, devices: str, let_in: bool) -> None:
        machine.hailo()
        machine.write("proc/devices", f"Character devices:\n  1 mem\n{devices}\n")
        closed = {"PrivateDevices": "no", "DevicePolicy": "closed", "DeviceAllow": allowed}
        assert (patient(machine, service=WELL | closed).hidden == {}) == let_in
        auto = closed | {"DevicePolicy": "auto"}
        assert (patient(machine, service=WELL | auto).hidden == {}) == (let_in or not allowed), "an empty list lets all in"

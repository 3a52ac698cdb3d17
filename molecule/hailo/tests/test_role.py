"""What the role accelerator makes of a machine with an NPU, and takes back from it."""

import json
import re
import subprocess
from collections.abc import Callable

from testinfra.host import Host

from service import CLIP, PROJECT, Service, words

Playbook = Callable[..., "subprocess.CompletedProcess[str]"]
NODE = "/dev/hailo0"
RULE = "/usr/lib/udev/rules.d/70-hailo-whisper.rules"
DROP_IN = "/usr/lib/systemd/system/hailo-whisper.service.d/10-hailo.conf"
BINDING = "/usr/lib/python3/dist-packages/hailo_platform"
VENV = "/opt/hailo-whisper/venv"
PTH = f"{VENV}/lib/python3.13/site-packages/hailo-whisper-hailort.pth"


def succeeded(done: "subprocess.CompletedProcess[str]") -> str:
    """What a playbook said, on one line."""
    assert done.returncode == 0, done.stdout + done.stderr
    return " ".join(done.stdout.split())


def engine(host: Host) -> str:
    """What the service is to transcribe by."""
    return str(json.loads(host.file("/etc/xdg/hailo-whisper/hailo-whisper.json").content)["engine"]["kind"])


def test_the_service_is_of_the_group_of_the_device_and_not_of_roots(host: Host) -> None:
    assert host.group("hailo").exists
    assert host.group("hailo").gid < 1000
    assert set(host.user("hailo-whisper").groups) == {"hailo-whisper", "hailo"}


def test_the_rule_and_the_drop_in_are_those_of_packaging(host: Host) -> None:
    for path, source in ((RULE, "udev/70-hailo-whisper.rules"), (DROP_IN, "systemd/hailo-whisper.service.d/10-hailo.conf")):
        file = host.file(path)
        assert file.content == (PROJECT / "packaging" / source).read_bytes()
        assert (file.user, file.group, oct(file.mode)) == ("root", "root", oct(0o644))
    host.check_output(f"udevadm verify {RULE}")


def test_the_units_only_devices_are_the_npus(host: Host) -> None:
    shown = host.check_output("systemctl show --property=DevicePolicy,DeviceAllow,SupplementaryGroups hailo-whisper.service")
    assert set(shown.splitlines()) == {
        "DevicePolicy=closed",
        "DeviceAllow=char-hailo1x rw",
        "DeviceAllow=char-hailo rw",
        # The clock, to read: ProtectClock= adds it.
        "DeviceAllow=char-rtc r",
        "SupplementaryGroups=hailo",
    }


def test_exposure(host: Host) -> None:
    said = host.run("systemd-analyze security --no-pager hailo-whisper.service").stdout
    match = re.search(r"Overall exposure level for hailo-whisper.service: ([0-9.]+)", said)
    assert match, said
    assert float(match[1]) <= 0.8


def test_the_programs_python_has_the_binding_and_nothing_else_of_the_systems(host: Host) -> None:
    assert host.file("/opt/hailo-whisper/hailort/hailo_platform").linked_to == BINDING
    python = f"{VENV}/bin/python -c"
    assert host.check_output(f"{python} 'import hailo_platform; print(hailo_platform.__version__)'") == "5.2.0"
    # python3-apt is among the system's packages, and so is the numpy that the binding was installed with.
    assert host.run(f"{python} 'import apt'").rc != 0
    assert host.check_output(f"{python} 'import numpy; print(numpy.__file__)'").startswith(VENV)


def test_the_service_insists_on_the_npu(host: Host) -> None:
    assert engine(host) == "hailo"


def test_the_role_again_changes_nothing_and_reports_the_device(playbook: Playbook) -> None:
    said = succeeded(playbook("site.yml", "--tags", "accelerator"))
    assert " changed=0 " in said
    assert "transcribes on its Hailo NPU. The inventory says so." in said
    assert "has HailoRT 5.2.0. The device says: " in said
    assert "Device Architecture: HAILO10H" in said
    assert " changed=0 " in succeeded(playbook("site.yml", "--tags", "accelerator", "--check", "--diff"))


def test_a_machine_without_its_device_is_refused_before_anything_is_changed(host: Host, playbook: Playbook) -> None:
    host.check_output(f"mv {NODE} /dev/away")
    try:
        done = playbook("site.yml")
    finally:
        host.check_output(f"mv /dev/away {NODE}")
    assert done.returncode != 0, done.stdout
    said = " ".join((done.stdout + done.stderr).split())
    assert "is to transcribe on its Hailo NPU (hailo_whisper_accelerator), and cannot yet. There is no Hailo device" in said
    assert " changed=0 " in said


def test_the_cpu_again_takes_all_of_it_away_and_serves(host: Host, service: Service, playbook: Playbook) -> None:
    # With the configuration goes the accelerator, which part of it follows from.
    cpu = ("--tags", "config", "--extra-vars", "hailo_whisper_accelerator=cpu")
    before = host.check_output("systemctl show --property=MainPID --value hailo-whisper.service")
    try:
        succeeded(playbook("site.yml", *cpu))
        for path in (RULE, DROP_IN, PTH, "/opt/hailo-whisper/hailort"):
            assert not host.file(path).exists
        assert host.group("hailo").exists, "a unit that names a missing group does not start"
        assert host.user("hailo-whisper").groups == ["hailo-whisper"]
        service.await_ready()
        assert host.check_output("systemctl show --property=MainPID --value hailo-whisper.service") != before
        assert "SupplementaryGroups=hailo" not in host.check_output("systemctl show hailo-whisper.service")
        assert service.transcribe()
        assert engine(host) == "ctranslate2"
    finally:
        succeeded(playbook("site.yml", "--tags", "config"))
    service.await_ready()
    assert words(service.transcribe()) == words(CLIP)

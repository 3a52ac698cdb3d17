"""The package on a machine: nothing beside it below /opt, the configuration at boot, and an accelerator's package."""

import sys
from pathlib import Path

from testinfra.host import Host

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "default/tests"))

from service import Service

SOURCE = "/etc/hailo/hailo-whisper.yaml"


def test_every_file_is_as_the_package_has_it(host: Host) -> None:
    changed = host.run("dpkg --verify hailo-whisper").stdout
    assert [line.split()[-1] for line in changed.splitlines()] == [SOURCE]


def test_nothing_is_beside_it(host: Host) -> None:
    there = host.check_output("find /opt/hailo-whisper | sort").splitlines()
    owned = host.check_output("dpkg --listfiles hailo-whisper | grep ^/opt/hailo-whisper | sort").splitlines()
    assert there == owned


def test_what_was_edited_while_the_machine_was_off_holds_at_boot(host: Host) -> None:
    assert host.service("hailo-whisper-config.service").is_enabled
    drop_in = host.file("/etc/systemd/system/hailo-whisper.service.d/50-config.conf")
    host.check_output(f"cp {SOURCE} /root/kept.yaml")
    try:
        host.check_output(f"sed --in-place 's/memory_max: .*/memory_max: 3G/' {SOURCE}")
        # As at boot, when it has not run yet.
        host.check_output("systemctl restart hailo-whisper-config.service")
        assert drop_in.contains("MemoryMax=3G")
        assert host.check_output("systemctl show --property=NeedDaemonReload --value hailo-whisper.service") == "no"
    finally:
        host.check_output(f"mv /root/kept.yaml {SOURCE}")
        host.check_output("systemctl restart hailo-whisper-config.service")
    assert not drop_in.contains("MemoryMax=")


def test_a_refused_configuration_is_told_and_the_last_one_stays(host: Host) -> None:
    rendered = "/etc/xdg/hailo-whisper/hailo-whisper.json"
    before = host.file(rendered).sha256sum
    host.check_output(f"cp {SOURCE} /root/kept.yaml && echo 'sever: {{}}' >>{SOURCE}")
    try:
        assert host.run("systemctl restart hailo-whisper-config.service").rc != 0
        said = host.check_output("journalctl --unit=hailo-whisper-config.service --lines=20 --output=cat --no-pager")
        assert "Did you mean server?" in said
        assert host.file(rendered).sha256sum == before
    finally:
        host.check_output(f"mv /root/kept.yaml {SOURCE}")
        host.check_output("systemctl restart hailo-whisper-config.service")


def test_the_package_for_a_hailo_npu_opens_the_device_and_closes_it_again(host: Host) -> None:
    service = Service(str(host.backend.name))
    shown = "systemctl show --property=PrivateDevices --value hailo-whisper.service"
    host.check_output("DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends hailo-whisper-accel-hailo")
    assert host.check_output(shown) == "no"
    assert "hailo" in host.user("hailo-whisper").groups
    assert host.file("/opt/hailo-whisper/hailort/hailo_platform").linked_to == "/usr/lib/python3/dist-packages/hailo_platform"
    assert "/opt/hailo-whisper/hailort" in host.check_output(
        "/opt/hailo-whisper/venv/bin/python -c 'import sys; print(sys.path)'"
    )
    # There is no device: the CPU goes on, and the unit is still as tight as it can be with one.
    service.await_ready()
    said = host.run("systemd-analyze security --no-pager hailo-whisper.service").stdout
    assert float(said.rsplit("hailo-whisper.service:", 1)[1].split()[0]) <= 0.8
    host.check_output("DEBIAN_FRONTEND=noninteractive apt-get purge --yes hailo-whisper-accel-hailo")
    assert host.check_output(shown) == "yes"
    service.await_ready()

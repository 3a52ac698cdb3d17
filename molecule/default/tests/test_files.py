"""Every file that the deployment makes: its owner, its mode, and who can write it."""

import pytest
from testinfra.host import Host

from service import KEY_FILE

# Path, owner, group, mode.
MADE = [
    ("/opt/hailo-whisper", "root", "root", 0o755),
    ("/opt/hailo-whisper/venv", "root", "root", 0o755),
    ("/opt/hailo-whisper/installed", "root", "root", 0o644),
    ("/usr/lib/systemd/system/hailo-whisper.socket", "root", "root", 0o644),
    ("/usr/lib/systemd/system/hailo-whisper.service", "root", "root", 0o644),
    ("/etc/hailo", "root", "root", 0o755),
    ("/etc/hailo/hailo-whisper.yaml", "root", "root", 0o644),
    (KEY_FILE, "root", "hailo-whisper", 0o640),
    ("/etc/xdg/hailo-whisper", "root", "root", 0o755),
    ("/etc/xdg/hailo-whisper/hailo-whisper.json", "root", "root", 0o644),
    ("/etc/systemd/system/hailo-whisper.service.d", "root", "root", 0o755),
    ("/etc/systemd/system/hailo-whisper.service.d/50-config.conf", "root", "root", 0o644),
    ("/etc/systemd/system/hailo-whisper.socket.d", "root", "root", 0o755),
    ("/etc/systemd/system/hailo-whisper.socket.d/50-config.conf", "root", "root", 0o644),
    ("/var/lib/hailo-whisper", "root", "hailo-whisper", 0o750),
    ("/var/lib/hailo-whisper/state", "hailo-whisper", "hailo-whisper", 0o750),
    ("/var/lib/hailo-whisper/models", "root", "hailo-whisper", 0o750),
    ("/var/cache/hailo-whisper", "hailo-whisper", "hailo-whisper", 0o750),
    ("/run/hailo-whisper", "hailo-whisper", "hailo-whisper", 0o750),
]


@pytest.mark.parametrize(("path", "user", "group", "mode"), MADE, ids=[row[0] for row in MADE])
def test_owner_and_mode(host: Host, path: str, user: str, group: str, mode: int) -> None:
    file = host.file(path)
    assert (file.user, file.group, oct(file.mode)) == (user, group, oct(mode))


def test_models_are_readable_by_the_service_and_writable_by_root_only(host: Host) -> None:
    listed = host.check_output("find /var/lib/hailo-whisper/models -mindepth 1 -printf '%u:%g %y %m\n'")
    assert set(listed.splitlines()) == {"root:hailo-whisper d 750", "root:hailo-whisper f 640"}


def test_the_command_is_in_the_path(host: Host) -> None:
    assert host.file("/usr/bin/hailo-whisper").linked_to == "/opt/hailo-whisper/venv/bin/hailo-whisper"
    assert host.check_output("hailo-whisper --version").startswith("hailo-whisper ")


def test_no_file_is_world_writable_or_of_a_stranger(host: Host) -> None:
    program = "/opt/hailo-whisper /etc/hailo /etc/xdg/hailo-whisper /etc/systemd/system/hailo-whisper.s*.d"
    state = "/var/lib/hailo-whisper /var/cache/hailo-whisper /run/hailo-whisper"
    assert host.check_output(f"find {program} {state} ! -type l -perm -0002") == ""
    assert host.check_output(f"find {program} ! -path {KEY_FILE} '(' ! -user root -o ! -group root ')'") == ""
    assert host.check_output(f"find {state} ! -user root ! -user hailo-whisper -o ! -group hailo-whisper") == ""


def test_nothing_of_the_transfer_is_left(host: Host) -> None:
    assert host.check_output("find /tmp /var/tmp /root -name '*hailo-whisper*' ! -path '*/systemd-private-*'") == ""


def test_the_service_user_can_write_its_state_and_nothing_else(host: Host) -> None:
    for folder in ("/opt", "/etc", "/usr"):
        assert host.check_output(f"runuser -u hailo-whisper -- find {folder} -writable ! -type l 2>/dev/null || true") == ""
    writable = host.check_output("runuser -u hailo-whisper -- find /var/lib/hailo-whisper -writable")
    assert writable == "/var/lib/hailo-whisper/state"
    refused = host.run("sudo -u hailo-whisper touch /opt/hailo-whisper/mine")
    assert refused.rc != 0
    assert "Permission denied" in refused.stderr


def test_the_service_user_cannot_log_in(host: Host) -> None:
    user = host.user("hailo-whisper")
    assert (user.shell, user.home) == ("/usr/sbin/nologin", "/var/lib/hailo-whisper")
    # `!` by the role, `!*` by systemd-sysusers: no password is ever right.
    assert user.password in ("!", "!*")
    assert user.uid < 1000

import configparser
from pathlib import Path

import pytest

from hailo_whisper.service import dropins
from hailo_whisper.settings import parse

SOCKET = Path("etc/systemd/system/hailo-whisper.socket.d/50-config.conf")
SERVICE = Path("etc/systemd/system/hailo-whisper.service.d/50-config.conf")


def _render(data: dict[str, object]) -> dict[Path, str]:
    return dropins.render(parse(data, "test"))


def _section(text: str, name: str) -> list[str]:
    lines = text.splitlines()
    return lines[lines.index(f"[{name}]") + 1 :]


def test_by_default() -> None:
    files = _render({})
    assert set(files) == {SOCKET, SERVICE}
    # The empty line first: systemd adds addresses to those of the unit.
    assert _section(files[SOCKET], "Socket") == ["ListenStream=", "ListenStream=127.0.0.1:11437"]
    assert _section(files[SERVICE], "Service") == []


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("0.0.0.0", "0.0.0.0:8080"),
        ("localhost", "127.0.0.1:8080"),
        ("::1", "[::1]:8080"),
        ("::", "[::]:8080"),
        ("fd00:0:0::17", "[fd00::17]:8080"),
    ],
)
def test_the_address_reaches_the_socket(host: str, address: str) -> None:
    files = _render({"server": {"host": host, "port": 8080}})
    assert _section(files[SOCKET], "Socket") == ["ListenStream=", f"ListenStream={address}"]


def test_limits_reach_the_service() -> None:
    files = _render({"resource_limits": {"memory_max": "2G", "cpu_quota": "150%"}})
    assert _section(files[SERVICE], "Service") == ["MemoryMax=2G", "CPUQuota=150%"]
    files = _render({"resource_limits": {"memory_max": "50%"}})
    assert _section(files[SERVICE], "Service") == ["MemoryMax=50%"]


def test_every_file_says_who_made_it_and_is_read_as_a_unit() -> None:
    for text in _render({"resource_limits": {"memory_max": "2G"}}).values():
        assert text.startswith("# Made by `hailo-whisper config render`")
        assert text.endswith("\n")
        configparser.ConfigParser(strict=False, interpolation=None).read_string(text)

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hailo_whisper.service import notify

# Hands over a socket as systemd does: as descriptor 3 of the process whose id is in LISTEN_PID.
LAUNCHER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="hailo-whisper.socket")
from hailo_whisper.service import notify
sock = notify.inherited_socket()
print(sock.getsockname()[1], os.get_inheritable(3), sorted(name for name in os.environ if name.startswith("LISTEN_")))
print(notify.inherited_socket())
"""


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield sock


def test_lines_reach_the_service_manager_in_one_datagram(manager: socket.socket) -> None:
    notify.notify("READY=1", "STATUS=all is well")
    assert manager.recv(1000) == b"READY=1\nSTATUS=all is well"


def test_an_abstract_name(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"hailo-whisper-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"\0{name}")
        sock.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        notify.notify("READY=1")
        assert sock.recv(1000) == b"READY=1"


def test_without_a_service_manager_nothing_is_said() -> None:
    notify.notify("READY=1")


def test_a_service_manager_that_does_not_listen_ends_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    notify.notify("WATCHDOG=1")


def test_the_inherited_socket_is_taken_once_and_hidden_from_children() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-c", LAUNCHER, str(listener.fileno())],
            pass_fds=[listener.fileno()],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    assert done.stdout.splitlines() == [f"{port} False []", "None"]


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"LISTEN_PID": "1", "LISTEN_FDS": "1"},
        {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "0"},
        {"LISTEN_FDS": "1"},
    ],
    ids=["none", "another process's", "none passed", "no process named"],
)
def test_no_inherited_socket(environ: dict[str, str]) -> None:
    assert notify.inherited_socket(environ) is None
    assert not environ


def test_watchdog_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert notify.watchdog_seconds() is None
    monkeypatch.setenv("WATCHDOG_USEC", "60000000")
    assert notify.watchdog_seconds() == 60.0
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert notify.watchdog_seconds() == 60.0
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert notify.watchdog_seconds() is None

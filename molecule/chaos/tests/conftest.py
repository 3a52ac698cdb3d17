"""A machine that has one accident after the other. After each the service transcribes again by itself, or says what to do and then does; and nothing is lost.

Shown elsewhere, and not here:

- what one kill of the server or of the worker costs a client who never asks twice, restarts under load, a reboot in good order, and a model that is
  missing: molecule/default/tests/test_service.py, on Debian 12 and 13 and on a machine of the package;
- an upgrade without room, on a disk that fills up in the middle, with dpkg killed: molecule/upgrade;
- an accelerator that is pulled out, closed, or taken by others: molecule/hailo;
- a YAML that is refused, and what was edited while the machine was off: molecule/deb/tests/test_installed.py;
- a worker that hangs, loads for ever, or dies over one recording, a decoder that burns: app/tests/server/test_lifecycle.py, test_worker_loss.py;
- uploads on a machine whose every disk is full: app/tests/server/test_uploads.py;
- a pull that is killed, and a connection that breaks in the middle of it: app/tests/unit/models;
- a node that dies behind the gateway: molecule/fleet.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from testinfra.host import Host

MOLECULE = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(MOLECULE / "default/tests"), str(MOLECULE / "upgrade/tests"), str(Path(__file__).resolve().parent)]

from service import CLIP, Service, words  # noqa: E402

# The power cut last, because the machine is another one after it.
ORDER = [
    "test_killed.py",
    "test_socket.py",
    "test_damaged.py",
    "test_disk.py",
    "test_clock.py",
    "test_memory.py",
    "test_power.py",
]
# A manifest has the times of its files, which a pull makes anew.
LISTED = "find /etc/hailo /etc/xdg/hailo-whisper /var/lib/hailo-whisper/models -type f ! -name manifest.json ! -name .lock"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: ORDER.index(item.path.name))


@pytest.fixture(scope="module")
def name(host: Host) -> str:
    """The name of the machine, in the inventory and in podman."""
    return str(host.backend.name)


@pytest.fixture
def service(name: str) -> Iterator[Service]:
    service = Service(name)
    yield service
    service.client.close()


@pytest.fixture
def background(name: str) -> Callable[[str], "subprocess.Popen[bytes]"]:
    """Run a command on the machine, and do not wait for it."""
    return lambda command: subprocess.Popen(["podman", "exec", name, "sh", "-c", command])


def sums(host: Host) -> str:
    """The sum, owner and mode of each file of the configuration, the keys and the models."""
    shown = f"{LISTED} -printf '%p %u:%g %m\\n' | sort; {LISTED} -print0 | sort --zero-terminated | xargs -0 sha256sum"
    return str(host.check_output(shown))


@pytest.fixture(autouse=True)
def nothing_is_lost(host: Host, name: str) -> Iterator[None]:
    """After each accident the real words are heard, and the configuration, the keys and the models are what they were."""
    before = sums(host)
    yield
    service = Service(name)
    service.await_ready()
    assert words(service.transcribe()) == words(CLIP)
    assert sums(host) == before
    service.client.close()

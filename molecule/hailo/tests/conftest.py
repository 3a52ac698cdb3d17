"""What the tests of the machine with the emulated NPU share. `host` is testinfra's; requests come from outside, as a user's do."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from testinfra.host import Host

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "default/tests"))

from service import Service, run_playbook  # noqa: E402


@pytest.fixture
def service(host: Host) -> Iterator[Service]:
    service = Service(str(host.backend.name))
    yield service
    service.client.close()


@pytest.fixture
def playbook(host: Host) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Run a playbook against the machine."""
    return partial(run_playbook, HERE.parent / "inventory", str(host.backend.name))

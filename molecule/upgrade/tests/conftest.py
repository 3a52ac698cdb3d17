"""The order of the tests, and what they share: a machine that has the version before, and the files of both."""

import sys
from pathlib import Path

import pytest
from testinfra.host import Host

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "default/tests"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from machine import Machine

# Each file leaves the machine as the next one expects it.
ORDER = ["test_upgrade.py", "test_refused.py", "test_interrupted.py", "test_python.py", "test_removal.py", "test_autopkgtest.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: ORDER.index(item.path.name))


@pytest.fixture(scope="module")
def machine(host: Host) -> Machine:
    return Machine(host)

"""How the tests run side by side: two workers take them in units, the long ones first. script/test loads this for pytest-xdist."""

import os
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

WORKERS = 2
SCENARIOS = "tests/test_molecule.py"
# These share servers that take seconds to start, so that one worker has them all. The files of the other tests go where there is room.
TOGETHER = ("app/tests/contract/", "app/tests/conformance/")
# But this one has no server, and takes minutes.
APART = "app/tests/contract/test_hailo.py"
# What takes minutes in one piece comes first, so that what is short is left to even out the end. The package is before the scenarios that install it.
ORDER = (
    "tests/test_package.py",
    SCENARIOS,
    "tests/test_piuparts.py",
    "tests/test_container.py",
    APART,
    *TOGETHER,
    "app/tests/server/",
    "tests/test_lint.py",
    # Many of the house's start ansible-playbook.
    "tests/test_",
)


def unit(nodeid: str) -> str:
    """What a test belongs to that one worker has to itself: a scenario with its machines, the tests that share a server, or a file."""
    path = nodeid.partition("::")[0]
    if path == SCENARIOS:
        return nodeid
    if path == APART:
        return path
    return next((folder for folder in TOGETHER if path.startswith(folder)), path)


def rank(nodeid: str) -> int:
    """The place of a test's part in the order of the run."""
    return next((place for place, part in enumerate(ORDER) if nodeid.startswith(part)), len(ORDER))


class Units(LoadScopeScheduling):  # type: ignore[misc]  # untyped
    """A worker gets the next unit, in the order in which they were collected, when two tests or fewer are left of those it has.

    It runs its last test only when it knows what comes after it, so that it cannot be given the next one later. A unit of one test, such as
    a scenario, thus holds the one after it as well, and the other worker goes on with those after that.
    """

    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid)


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """For `-n auto`: none where somebody wants to see a test's output as it comes, talk with it, or stop at the first failure."""
    alone = config.option.usepdb or config.option.trace or config.option.capture == "no" or config.option.maxfail
    return 0 if alone else min(WORKERS, os.cpu_count() or 1)


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Units:
    # Those with the most tests are not those that take longest.
    config.option.loadscopereorder = False
    return Units(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: rank(item.nodeid))

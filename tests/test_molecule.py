"""The molecule scenarios, each as one test: its own output is shown as it comes."""

from collections.abc import Callable

import pytest


@pytest.mark.timeout(2400)
@pytest.mark.parametrize("scenario", ["default"])
def test_scenario(scenario: str, stream: Callable[..., int]) -> None:
    assert stream("molecule", "test", "--scenario-name", scenario, COLUMNS="160") == 0, (
        "molecule failed: its output above says where"
    )

"""The molecule scenarios, each as one test: its own output is shown as it comes."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.mark.timeout(2400)
@pytest.mark.parametrize("scenario", ["default", "deb", "upgrade", "airgap", "hailo", "fleet"])
def test_scenario(scenario: str, stream: Callable[..., int], tmp_path: Path) -> None:
    # molecule keeps what it has made in Ansible's home, and would trust the note of a run that was interrupted.
    environment = {"ANSIBLE_HOME": str(tmp_path), "COLUMNS": "160"}
    assert stream("molecule", "test", "--scenario-name", scenario, **environment) == 0, (
        "molecule failed: its output above says where"
    )

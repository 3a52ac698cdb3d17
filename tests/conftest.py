"""The tests at the root are about the house: its roles, its scripts, its linters."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def project() -> Path:
    return PROJECT


@pytest.fixture
def stream(capfd: pytest.CaptureFixture[str]) -> Callable[..., int]:
    """Run a command in the project with its output shown as it comes, and return its exit status."""

    def run(*command: str, **environment: str) -> int:
        with capfd.disabled():
            print(f"\n$ {' '.join(command)}", flush=True)
            done = subprocess.run(command, cwd=PROJECT, env=os.environ | environment, stdin=subprocess.DEVNULL, check=False)
        return done.returncode

    return run

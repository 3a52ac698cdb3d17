"""Machines that a test asks by name: what a shell there says, where they are, and the wait for what is to happen to them."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
LONGEST = 300.0


def on(machine: str, command: str) -> str:
    """What a shell on the machine says."""
    done = subprocess.run(
        ["podman", "exec", machine, "sh", "-c", command], capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def address(machine: str) -> str:
    """The one that it has now: after a reboot it may be another."""
    asked = subprocess.run([PROJECT / "script/host", "address", machine], capture_output=True, text=True, check=True)
    return asked.stdout.strip()


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for it."""
    end = time.monotonic() + LONGEST
    while not condition():
        assert time.monotonic() < end, f"within {LONGEST:g} s it did not happen: {what}"
        time.sleep(0.2)

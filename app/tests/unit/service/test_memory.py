"""How much memory there is: for the service, and in a process."""

import os
from pathlib import Path

import pytest

from hailo_whisper.service import memory


def test_what_the_kernel_ended_for_want_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert memory.shortages() >= 0
    monkeypatch.setattr(memory, "COUNTED", tmp_path / "vmstat")
    assert memory.shortages() == 0, "a kernel that does not say"
    (tmp_path / "vmstat").write_text("pgmajfault 7\noom_kill 3\nswap_ra 1\n")
    assert memory.shortages() == 3
    (tmp_path / "vmstat").write_text("pgmajfault 7\n")
    assert memory.shortages() == 0


def test_the_strictest_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = memory.machine_mb()
    assert whole > 100
    monkeypatch.setattr(memory, "limits", {"memory.max": ["600000000", "max", "50000000"]}.get)
    assert memory.machine_mb() == 50


def test_what_a_process_has() -> None:
    assert 1_000_000 < memory.resident(os.getpid()) < 100_000_000_000
    assert memory.resident(2**22 + 1) == 0

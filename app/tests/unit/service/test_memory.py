"""How much memory there is: for the service, and in a process."""

import os
from pathlib import Path

import pytest

from hailo_whisper.service import memory


@pytest.fixture
def groups(tmp_path: Path) -> Path:
    """A machine's control groups, with this process in one of them."""
    (tmp_path / "own").write_text("0::/system.slice/hailo-whisper.service\n")
    (tmp_path / "groups/system.slice/hailo-whisper.service").mkdir(parents=True)
    return tmp_path / "groups"


def limits(groups: Path) -> list[int]:
    return list(memory._limits(groups.parent / "own", groups))


def test_the_limits_of_the_service_and_of_what_is_above_it(groups: Path) -> None:
    assert limits(groups) == []
    (groups / "system.slice/hailo-whisper.service/memory.max").write_text("2147483648\n")
    (groups / "system.slice/memory.max").write_text("1000000000\n")
    assert limits(groups) == [2147483648, 1000000000]


def test_a_group_without_a_limit(groups: Path) -> None:
    (groups / "system.slice/hailo-whisper.service/memory.max").write_text("max\n")
    assert limits(groups) == []


def test_what_the_kernel_ended_for_want_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert memory.shortages() >= 0
    monkeypatch.setattr(memory, "COUNTED", tmp_path / "vmstat")
    assert memory.shortages() == 0, "a kernel that does not say"
    (tmp_path / "vmstat").write_text("pgmajfault 7\noom_kill 3\nswap_ra 1\n")
    assert memory.shortages() == 3
    (tmp_path / "vmstat").write_text("pgmajfault 7\n")
    assert memory.shortages() == 0


def test_a_machine_without_such_groups(groups: Path) -> None:
    (groups.parent / "own").write_text("12:memory:/user.slice\n1:name=systemd:/\n")
    assert limits(groups) == []
    (groups.parent / "own").unlink()
    assert limits(groups) == []


def test_the_strictest_counts(groups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = memory.machine_mb()
    assert whole > 100
    monkeypatch.setattr(memory, "_limits", lambda own, groups: iter([600_000_000, 50_000_000]))
    assert memory.machine_mb() == 50


def test_what_a_process_has() -> None:
    assert 1_000_000 < memory.resident(os.getpid()) < 100_000_000_000
    assert memory.resident(2**22 + 1) == 0

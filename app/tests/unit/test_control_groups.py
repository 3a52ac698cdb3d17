"""What the control groups of a process let it have, on a machine that is a folder."""

from pathlib import Path

import pytest

from hailo_whisper.control_groups import limits


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine with this process in one of its groups."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/system.slice/hailo-whisper.service\n")
    (tmp_path / "sys/fs/cgroup/system.slice/hailo-whisper.service").mkdir(parents=True)
    return tmp_path


def test_the_limits_of_the_service_and_of_what_is_above_it(root: Path) -> None:
    assert list(limits("memory.max", root)) == []
    (root / "sys/fs/cgroup/system.slice/hailo-whisper.service/memory.max").write_text("2147483648\n")
    (root / "sys/fs/cgroup/system.slice/memory.max").write_text("max\n")
    (root / "sys/fs/cgroup/system.slice/cpu.max").write_text("200000 100000\n")
    assert list(limits("memory.max", root)) == ["2147483648", "max"]
    assert list(limits("cpu.max", root)) == ["200000 100000"]


def test_in_a_container_its_own_group_is_the_uppermost(root: Path) -> None:
    (root / "proc/self/cgroup").write_text("0::/\n")
    (root / "sys/fs/cgroup/memory.max").write_text("1000000000\n")
    assert list(limits("memory.max", root)) == ["1000000000"]


def test_a_machine_without_such_groups(root: Path) -> None:
    (root / "sys/fs/cgroup/memory.max").write_text("1\n")
    (root / "proc/self/cgroup").write_text("12:memory:/user.slice\n1:name=systemd:/\n")
    assert list(limits("memory.max", root)) == []
    (root / "proc/self/cgroup").unlink()
    assert list(limits("memory.max", root)) == []

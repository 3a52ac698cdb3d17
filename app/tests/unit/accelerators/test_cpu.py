from pathlib import Path

import pytest
from machines import FakeMachine

from hailo_whisper.accelerators import cpu


def test_a_pc(tmp_path: Path) -> None:
    machine = FakeMachine(tmp_path)
    machine.write("proc/cpuinfo", "processor\t: 0\nmodel name\t: AMD EPYC 7B13\nflags\t\t: fpu sse4_1 avx avx2\n\n")
    found = cpu.survey(tmp_path)
    assert (found.name, found.vectors) == ("AMD EPYC 7B13", "avx2")
    assert found.cores >= 1


def test_a_raspberry_pi(tmp_path: Path) -> None:
    machine = FakeMachine(tmp_path)
    machine.write(
        "proc/cpuinfo", "processor\t: 0\nFeatures\t: fp asimd aes asimddp\n\nModel\t\t: Raspberry Pi 5 Model B Rev 1.0\n"
    )
    assert (cpu.survey(tmp_path).name, cpu.survey(tmp_path).vectors) == ("Raspberry Pi 5 Model B Rev 1.0", "asimddp")


def test_one_that_says_nothing(tmp_path: Path) -> None:
    found = cpu.survey(tmp_path)
    assert (found.name, found.vectors) == (found.machine, None)


@pytest.mark.parametrize(
    ("quotas", "expected"),
    [
        ([], 8),
        (["max 100000"], 8),
        (["200000 100000"], 2),
        (["1600000 100000"], 8),
        (["250000 100000"], 2),
        (["50000 100000"], 1),
        (["max 100000", "300000 100000"], 3),
        (["400000 100000", "300000 50000"], 4),
    ],
    ids=str,
)
def test_a_quota_leaves_fewer_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quotas: list[str], expected: int) -> None:
    """Those of the service's group, and of the one above it."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    machine = FakeMachine(tmp_path)
    machine.write("proc/self/cgroup", "0::/system.slice/hailo-whisper.service\n")
    for group, quota in zip(("system.slice/hailo-whisper.service", "system.slice"), quotas, strict=False):
        machine.write(f"sys/fs/cgroup/{group}/cpu.max", f"{quota}\n")
    assert cpu.cores(tmp_path) == cpu.survey(tmp_path).cores == expected

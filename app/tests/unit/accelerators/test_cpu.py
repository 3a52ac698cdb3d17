from pathlib import Path

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

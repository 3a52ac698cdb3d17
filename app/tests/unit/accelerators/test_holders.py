import os
from pathlib import Path

from hailo_whisper.accelerators.holders import found, holders


def _process(proc: Path, pid: int, name: str, *targets: str) -> None:
    folder = proc / str(pid) / "fd"
    folder.mkdir(parents=True)
    (proc / str(pid) / "comm").write_text(f"{name}\n")
    for number, target in enumerate(targets):
        (folder / str(number)).symlink_to(target)


def test_who_has_the_device_open(tmp_path: Path) -> None:
    _process(tmp_path, 812, "hailo-ollama", "/dev/null", "/dev/hailo0")
    _process(tmp_path, 9, "python3", "/dev/h1x-0")
    _process(tmp_path, 5, "bystander", "/dev/null", "socket:[17]")
    (tmp_path / "meminfo").touch()
    assert holders(tmp_path) == "It is held by python3 (process 9), hailo-ollama (process 812)."


def test_nobody_and_those_that_may_not_be_seen(tmp_path: Path) -> None:
    assert holders(tmp_path) == ""
    (tmp_path / "77").mkdir()
    _process(tmp_path, os.getpid(), "ourselves", "/dev/hailo0")
    assert holders(tmp_path) == ""


def test_a_process_that_ends_meanwhile_has_no_name(tmp_path: Path) -> None:
    _process(tmp_path, 812, "gone", "/dev/hailo0")
    (tmp_path / "812" / "comm").unlink()
    assert holders(tmp_path) == "It is held by a program (process 812)."


def test_our_own_worker_is_known_by_its_command(tmp_path: Path) -> None:
    _process(tmp_path, 7, "python", "/dev/hailo0")
    (tmp_path / "7" / "cmdline").write_bytes(b"python\0-m\0hailo_whisper.engines.worker\0")
    _process(tmp_path, 8, "hailo-ollama", "/dev/hailo0")
    (tmp_path / "8" / "cmdline").write_bytes(b"hailo-ollama\0")
    assert [(holder.pid, holder.ours) for holder in found(tmp_path)] == [(7, True), (8, False)]

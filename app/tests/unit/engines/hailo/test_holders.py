import os
from pathlib import Path

from hailo_whisper.engines.hailo.holders import holders


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

"""The connection `machine`: which process is a test machine's first, and what is said of one that is not there."""

import os
import runpy
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Find = Callable[[str, Path], int | None]


@pytest.fixture
def find(project: Path) -> Find:
    found: Find = runpy.run_path(str(project / "plugins/connection/machine.py"))["first_process"]
    return found


def process(proc: Path, number: int, inner: str, hostname: str, comm: str = "systemd") -> None:
    """One that its own namespaces know by the numbers `inner`."""
    folder = proc / str(number)
    (folder / "root/etc").mkdir(parents=True)
    (folder / "comm").write_text(f"{comm}\n")
    (folder / "status").write_text(f"Name:\t{comm}\nNSpid:\t{number}{inner}\nNSpgid:\t{number}\n")
    (folder / "root/etc/hostname").write_text(f"{hostname}\n")


def test_it_is_the_first_of_its_namespace_and_has_the_name(find: Find, tmp_path: Path) -> None:
    process(tmp_path, 1, "", "box")  # the computer itself
    process(tmp_path, 50, "\t1", "other")
    process(tmp_path, 60, "\t7", "box")  # a user's systemd inside
    process(tmp_path, 70, "\t1", "box", comm="sleep")  # another container
    (tmp_path / "80").mkdir()  # has ended
    process(tmp_path, 90, "\t1", "box")
    assert find("box", tmp_path) == 90
    assert find("other", tmp_path) == 50
    assert find("nobody", tmp_path) is None


def test_one_that_is_not_there_is_unreachable_and_the_cure_is_said(project: Path) -> None:
    command = [
        "ansible",
        "no-such-machine",
        "--inventory",
        "no-such-machine,",
        "--connection",
        "machine",
        "--module-name",
        "ping",
    ]
    environment = os.environ | {"ANSIBLE_CONFIG": str(project / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 4, said
    assert "There is no machine no-such-machine, or it is not up: `script/host up no-such-machine`." in said

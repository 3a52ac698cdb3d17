"""ansible-playbook, as a test runs it: with nobody to ask, and with the settings and the roles of the project."""

import os
import subprocess
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
HERE = ("--inventory=this-machine,", "--connection=local")
"""Against this machine, without an inventory."""


def ansible_playbook(*arguments: str | Path, one_line: bool = False) -> "subprocess.CompletedProcess[str]":
    """What came of it. Paths are from the project on; with `one_line` a message is one line, however long it is."""
    settings = {
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"),
        "ANSIBLE_ROLES_PATH": str(PROJECT / "roles"),
    }
    return subprocess.run(
        ["ansible-playbook", *map(str, arguments)],
        cwd=PROJECT,
        env=os.environ | settings | ({"ANSIBLE_CALLBACK_RESULT_FORMAT": "json"} if one_line else {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def changed(done: "subprocess.CompletedProcess[str]") -> int:
    """How many tasks have changed something on the one host of a run that is to go well."""
    assert done.returncode == 0, done.stdout + done.stderr
    return int(done.stdout.rpartition("changed=")[2].split()[0])

"""How the role `config` comes by the API keys, tried on this machine with a file of its own, and that it shows none."""

import hashlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_run import HERE, ansible_playbook

KEY = "sk-which-nobody-is-to-see"
SUM = "sha256:" + hashlib.sha256(b"sk-other").hexdigest()

Role = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return tmp_path / "hailo" / "hailo-whisper.keys"


@pytest.fixture
def role(tmp_path: Path, keys: Path) -> Role:
    """Run the part of the role that is about keys, as talkative as it gets."""
    keys.parent.mkdir()
    program = tmp_path / "hailo-whisper"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m hailo_whisper "$@"\n')
    program.chmod(0o755)
    look = {"ansible.builtin.stat": {"path": str(program)}, "register": "__config_program"}
    include = {"ansible.builtin.include_role": {"name": "config", "tasks_from": "keys.yml"}}
    (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [look, include]}]))

    def run(*arguments: str, **variables: Any) -> "subprocess.CompletedProcess[str]":
        settings = {"access": {"keys": str(keys)}}
        # A group that is there on every machine.
        chosen = {"hailo_whisper_config": settings, "config_program": str(program), "config_key_group": "adm"} | variables
        (tmp_path / "variables.json").write_text(json.dumps(chosen))
        given = ("--extra-vars", f"@{tmp_path / 'variables.json'}", *arguments)
        return ansible_playbook(*HERE, "-vvv", "--diff", tmp_path / "play.yml", *given, one_line=True)

    return run


def owned(path: Path) -> tuple[int, str, str]:
    status = path.stat()
    return status.st_uid, path.group(), oct(stat.S_IMODE(status.st_mode))


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="the file is given to root and to a group")

DEFAULT = "/etc/hailo/hailo-whisper.keys"


@pytest.mark.parametrize(
    ("inventory", "file"),
    [
        ({}, DEFAULT),
        ({"hailo_whisper_config": {"server": {"port": 8080}}}, DEFAULT),
        ({"hailo_whisper_config": {"access": None}}, ""),
        ({"hailo_whisper_config": {"access": {"requests_per_minute": 60}}}, DEFAULT),
        ({"hailo_whisper_config": {"access": {"keys": "/srv/some.keys"}}}, "/srv/some.keys"),
        ({"hailo_whisper_config": {"access": {"keys": None}}}, ""),
        ({"hailo_whisper_config": {"access": {"insecure": True}}}, ""),
        ({"hailo_whisper_config": {"access": {"insecure": True}}, "hailo_whisper_keys": {"kitchen": SUM}}, DEFAULT),
        ({"hailo_whisper_config": {"access": "open"}}, ""),
    ],
)
def test_which_file(project: Path, tmp_path: Path, inventory: dict[str, Any], file: str) -> None:
    """The settings of the inventory are the stronger, and whoever wants no keys gets none."""
    files = [str(project / f"roles/config/{part}/main.yml") for part in ("defaults", "vars")]
    show = {"ansible.builtin.copy": {"content": "{{ config_key_file }}", "dest": str(tmp_path / "said"), "mode": "0600"}}
    variables = {"role_path": str(project / "roles/config")}
    play = {"hosts": "all", "gather_facts": False, "vars": variables, "vars_files": files, "tasks": [show]}
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    command = ["ansible-playbook", "--inventory=this-machine,", "--connection=local", str(tmp_path / "play.yml")]
    subprocess.run([*command, "--extra-vars", json.dumps(inventory)], check=True, capture_output=True, stdin=subprocess.DEVNULL)
    assert (tmp_path / "said").read_text() == file


@as_root
def test_a_key_is_made_once_and_never_shown(role: Role, keys: Path) -> None:
    foreseen = role("--check")
    assert foreseen.returncode == 0, foreseen.stdout
    assert " changed=1 " in foreseen.stdout
    assert not keys.exists()

    first = role()
    assert first.returncode == 0, first.stdout
    (line,) = [line for line in keys.read_text().splitlines() if not line.startswith("#")]
    name, _, key = line.partition(":")
    assert name == "default"
    assert key.startswith("sk-")
    assert len(key) == len("sk-") + 43
    assert owned(keys) == (0, "adm", "0o640")

    before = keys.read_text()
    for again in (role(), role("--check")):
        assert again.returncode == 0, again.stdout
        assert " changed=0 " in again.stdout
    assert keys.read_text() == before
    for said in (foreseen, first, again):
        assert key not in said.stdout + said.stderr


@as_root
def test_what_strangers_could_read_is_shut(role: Role, keys: Path) -> None:
    keys.write_text(f"mine:{KEY}\n")
    keys.chmod(0o644)
    done = role()
    assert done.returncode == 0, done.stdout
    assert owned(keys) == (0, "adm", "0o640")
    assert keys.read_text() == f"mine:{KEY}\n"
    assert KEY not in done.stdout + done.stderr


@as_root
def test_given_keys_are_the_only_ones_and_never_shown(role: Role, keys: Path) -> None:
    keys.write_text("old:sk-old\n")
    given = {"kitchen": KEY, "office": SUM}
    first = role(hailo_whisper_keys=given)
    assert first.returncode == 0, first.stdout
    assert [line for line in keys.read_text().splitlines() if not line.startswith("#")] == [f"kitchen:{KEY}", f"office:{SUM}"]
    assert owned(keys) == (0, "adm", "0o640")
    again = role(hailo_whisper_keys=given)
    assert " changed=0 " in again.stdout
    foreseen = role("--check", hailo_whisper_keys=given | {"more": "sk-more"})
    assert " changed=1 " in foreseen.stdout
    for said in (first, again, foreseen):
        assert KEY not in said.stdout + said.stderr
        assert "sk-old" not in said.stdout + said.stderr


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("two words", KEY),
        ("kitchen", f"{KEY} "),
        ("kitchen", "sha256:12"),
        ("kitchen", "SHA256:12"),
        ("kitchen", 12345678),
        ("kitchen", ""),
    ],
)
def test_a_key_that_cannot_be_used_is_refused_by_its_name(role: Role, keys: Path, name: str, key: object) -> None:
    done = role(hailo_whisper_keys={name: key})
    assert done.returncode != 0
    assert f"The key {name} of hailo_whisper_keys cannot be used." in done.stdout
    assert KEY not in done.stdout + done.stderr
    assert not keys.exists()


def test_one_key_under_two_names_is_refused(role: Role, keys: Path) -> None:
    done = role(hailo_whisper_keys={"kitchen": KEY, "office": KEY})
    assert done.returncode != 0
    assert "Two names in hailo_whisper_keys have the same key" in done.stdout
    assert KEY not in done.stdout + done.stderr
    assert not keys.exists()

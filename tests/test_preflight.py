"""What the role preflight refuses, and that it says what to do. It runs against this machine, with its measures overridden."""

import json
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# What a machine that fits measures.
FITS: dict[str, Any] = {
    "preflight_found_system": "Debian 12",
    "preflight_found_user": 0,
    "preflight_found_python": "3.11",
    "preflight_found_memory_mb": 4000,
    "preflight_found_disks": [{"path": "/var/lib", "needed_mb": 900, "free_mb": 20000}],
    "preflight_found_port_owner": "",
}

Preflight = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def preflight(project: Path, tmp_path: Path) -> Preflight:
    """Run the role alone, in check mode, with variables over those of a machine that fits."""
    play = [{"hosts": "all", "gather_facts": True, "gather_subset": ["!all", "!min", "distribution"], "roles": ["preflight"]}]
    (tmp_path / "play.yml").write_text(json.dumps(play))

    def run(**variables: Any) -> "subprocess.CompletedProcess[str]":
        chosen = {name: value for name, value in (FITS | variables).items() if value is not None}
        command = ["ansible-playbook", "--inventory=this-machine,", "--connection=local", "--check", str(tmp_path / "play.yml")]
        return subprocess.run(
            [*command, "--extra-vars", json.dumps(chosen)],
            cwd=project,
            # One line for a message, however long it is.
            env=os.environ
            | {"ANSIBLE_ROLES_PATH": str(project / "roles"), "ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "ANSIBLE_NOCOLOR": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_a_machine_that_fits_passes(preflight: Preflight) -> None:
    done = preflight()
    assert done.returncode == 0, done.stdout
    assert "changed=0 " in done.stdout


REFUSALS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "system": (
        {"preflight_found_system": "Fedora 44"},
        ["runs Fedora 44", "Debian 12 and Debian 13", "take it out of the inventory"],
    ),
    "root": ({"preflight_found_user": 1000}, ["Root is needed", "--become"]),
    "old-python": ({"preflight_found_python": "3.9"}, ["is Python 3.9", "3.11 or newer", "reinstall"]),
    "new-python": ({"preflight_found_python": "3.14"}, ["is Python 3.14", "older than 3.14"]),
    "memory": (
        {"preflight_found_memory_mb": 512},
        [
            "has 512 MB of memory",
            "base with the server takes 650 MB",
            "tiny, tiny.en, base, base.en, small",
            ", the smallest first",
        ],
    ),
    "disk": (
        {"preflight_found_disks": [{"path": "/opt", "needed_mb": 900, "free_mb": 899}]},
        ["has 899 MB free on the file system of /opt, and 900 MB are needed", "Free some"],
    ),
    "model": (
        {"hailo_whisper_model": "huge"},
        ["no model huge", "Set hailo_whisper_model to one of tiny, tiny.en, base", "describe your own in /etc/hailo/models.d"],
    ),
    "type": ({"preflight_models": {"not": "a list"}}, ["preflight_models", "list"]),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusal(preflight: Preflight, case: str) -> None:
    variables, sentences = REFUSALS[case]
    done = preflight(**variables)
    assert done.returncode != 0, done.stdout
    for sentence in sentences:
        assert sentence in done.stdout + done.stderr


def test_a_smaller_model_fits_where_a_larger_does_not(preflight: Preflight) -> None:
    assert preflight(preflight_found_memory_mb=600).returncode != 0
    assert preflight(preflight_found_memory_mb=600, hailo_whisper_model="tiny.en").returncode == 0


def test_a_model_is_known_by_its_other_name_too(preflight: Preflight) -> None:
    done = preflight(preflight_found_memory_mb=1500, hailo_whisper_model="turbo")
    assert done.returncode != 0
    assert "turbo with the server takes 2100 MB" in done.stdout


def test_models_that_are_offered_are_judged_too(preflight: Preflight) -> None:
    offered = {"models": {"offered": ["large-v3"]}}
    assert (
        "base, large-v3 with the server takes 3400 MB"
        in preflight(preflight_found_memory_mb=3000, hailo_whisper_config=offered).stdout
    )


def test_a_model_of_the_hosts_own_catalog(preflight: Preflight, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("schema_version: 1\nmodels:\n  - name: ours\n    description: Trained here.\n")
    own = {"model": {"name": "ours"}, "models": {"catalog": str(tmp_path)}}
    done = preflight(hailo_whisper_config=own)
    assert done.returncode == 0, done.stdout
    done = preflight(hailo_whisper_config=own | {"model": {"name": "theirs"}})
    assert "There is no model theirs." in done.stdout


def test_a_model_whose_sizes_are_not_known(preflight: Preflight) -> None:
    assert preflight(preflight_found_disks=None, hailo_whisper_models=["Whisper-Small"]).returncode == 0


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that this process listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_port_that_is_taken(preflight: Preflight, taken: int) -> None:
    """This one is measured for real, with the memory and the disks of this machine."""
    done = preflight(preflight_found_port_owner=None, hailo_whisper_config={"server": {"port": taken}})
    assert done.returncode != 0, done.stdout
    assert f"Port {taken} of this-machine is taken by" in done.stdout
    assert f"(process {os.getpid()})" in done.stdout
    assert "choose another port with server.port in hailo_whisper_config" in done.stdout

"""What the role preflight refuses, and that it says what to do. It runs against this machine, with its measures overridden."""

import json
import os
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_run import HERE, ansible_playbook
from loading import loaded

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
def preflight(tmp_path: Path) -> Preflight:
    """Run the role alone, in check mode, with variables over those of a machine that fits."""
    play = [{"hosts": "all", "gather_facts": True, "gather_subset": ["!all", "!min", "distribution"], "roles": ["preflight"]}]
    (tmp_path / "play.yml").write_text(json.dumps(play))

    def run(*arguments: str, **variables: Any) -> "subprocess.CompletedProcess[str]":
        chosen = {name: value for name, value in (FITS | variables).items() if value is not None}
        extra = ("--extra-vars", json.dumps(chosen), *arguments)
        return ansible_playbook(*HERE, "--check", tmp_path / "play.yml", *extra, one_line=True)

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


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "misspelt": (
        {"hailo_whisper_modle": "tiny"},
        "Nothing reads the variable hailo_whisper_modle of this-machine. Did you mean hailo_whisper_model?",
    ),
    "unknown": (
        {"hailo_whisper_colour_of_the_cupboard": "red"},
        "Take it out, or give it a name without hailo_whisper_ if it is your own.",
    ),
    "two-accelerators": (
        {"groups": {"hailo_whisper_npu": ["this-machine"], "hailo_whisper_cpu": ["other", "this-machine"]}},
        "this-machine is in the groups hailo_whisper_npu and hailo_whisper_cpu, and transcribes on one of these.",
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_in_the_inventory(preflight: Preflight, tmp_path: Path, case: str) -> None:
    """With any tags: whoever changes the configuration alone misspells a name as easily."""
    variables, sentence = MISTAKES[case]
    inventory: dict[str, Any] = {
        group: {"hosts": {host: {} for host in hosts}} for group, hosts in variables.get("groups", {}).items()
    }
    own = {name: value for name, value in variables.items() if name != "groups"}
    (tmp_path / "hosts.yml").write_text(json.dumps(inventory | {"all": {"hosts": {"this-machine": own}}}))
    done = preflight("--inventory", str(tmp_path / "hosts.yml"), "--limit=this-machine", "--tags=config")
    assert done.returncode != 0
    assert sentence in done.stdout


def test_every_variable_of_the_example_is_read(project: Path) -> None:
    """Those in comments too, which somebody will take the sign from."""
    known = inventory_filter(project).known(str(project))
    texts = [path.read_text() for path in (project / "inventory").rglob("*.yml")]
    named = {name for text in texts for name in re.findall(r"^[ #]*(hailo_whisper_\w+):", text, re.MULTILINE)}
    groups = {"hailo_whisper_npu", "hailo_whisper_gpu", "hailo_whisper_cpu"}
    assert len(named) > 10
    assert named - groups <= known


def test_a_long_list_of_hosts_is_cut_short(project: Path) -> None:
    hosts = [f"host{number}" for number in range(500)]
    hostvars = {host: {"hailo_whisper_prot": 1, "vault_hailo_whisper_key": "x"} for host in hosts}
    found = inventory_filter(project).mistakes(hosts, hostvars, {}, [], str(project))
    assert len(found) == 1
    assert found[0].startswith("Nothing reads the variable hailo_whisper_prot of host0, host1, host2 and 497 more.")


def test_a_long_list_of_hosts_in_two_groups_is_cut_short(project: Path) -> None:
    hosts = [f"host{number}" for number in range(500)]
    groups = {"npu": hosts, "gpu": hosts[:-1], "cpu": hosts[-1:]}
    hostvars: dict[str, dict[str, Any]] = {host: {} for host in hosts}
    assert inventory_filter(project).mistakes(hosts, hostvars, groups, ["npu", "gpu", "cpu"], str(project)) == [
        "host0, host1, host2 and 496 more are in the groups npu and gpu, and each transcribes on one of these. Take them out of the others.",
        "host499 is in the groups npu and cpu, and transcribes on one of these. Take it out of the others.",
    ]


@pytest.mark.parametrize(
    ("name", "group"), [("gateway", "hailo_whisper_gateway"), ("monitoring", "monitoring"), ("pull", "hailo_whisper")]
)
def test_the_hosts_of_the_other_playbooks_are_looked_at_too(tmp_path: Path, name: str, group: str) -> None:
    """None of them is in a play of preflight, at least not when that playbook is run."""
    inventory = {
        "hailo_whisper": {"hosts": {"kitchen": {"hailo_whisper_config": {"server": {"host": "192.0.2.1"}}}}},
        group: {"hosts": {"tower": {"hailo_whisper_gateway_prot": 443}}},
    }
    (tmp_path / "hosts.yml").write_text(json.dumps(inventory | {"all": {"vars": {"ansible_connection": "local"}}}))
    done = ansible_playbook("--check", "--inventory", tmp_path / "hosts.yml", f"playbooks/{name}.yml")
    assert done.returncode != 0
    sentence = "Nothing reads the variable hailo_whisper_gateway_prot of tower. Did you mean hailo_whisper_gateway_port?"
    assert sentence in " ".join(done.stdout.split())


def inventory_filter(project: Path) -> Any:
    """The filter's module, as Ansible loads it."""
    return loaded(project / "plugins/filter/inventory.py")


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

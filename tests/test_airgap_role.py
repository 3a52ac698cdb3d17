"""What the role `airgap` refuses before anything is brought, and what an inventory needs of a bundle."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_run import HERE, ansible_playbook

sys.path.insert(0, str(Path(__file__).resolve().parent / "support"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "plugins/filter"))

from bundles import lay_out
from portions import needs

Role = Callable[..., "subprocess.CompletedProcess[str]"]
DEBIAN = {"airgap_suite": "bookworm", "airgap_arch": "amd64"}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return lay_out(tmp_path / "bundle")


@pytest.fixture
def role(tmp_path: Path, bundle: Path) -> Role:
    (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "roles": ["airgap"]}]))

    def run(*arguments: str, **variables: Any) -> "subprocess.CompletedProcess[str]":
        given = {"airgap_bundle": str(bundle), "airgap_apt": str(tmp_path / "apt.conf")} | DEBIAN | variables
        (tmp_path / "variables.json").write_text(json.dumps(given))
        return ansible_playbook(*HERE, tmp_path / "play.yml", *arguments, "--extra-vars", f"@{tmp_path / 'variables.json'}")

    return run


def said(done: "subprocess.CompletedProcess[str]") -> str:
    """What a refusal says, in one line."""
    assert done.returncode != 0
    return " ".join(done.stdout.split())


def test_apt_is_told_to_keep_to_the_bundle_once(role: Role, tmp_path: Path) -> None:
    looked = role("--check", "--diff")
    assert looked.returncode == 0, looked.stdout
    assert not (tmp_path / "apt.conf").exists()
    assert "changed=1 " in role().stdout
    assert 'Dir::Etc::SourceParts "-";' in (tmp_path / "apt.conf").read_text()
    assert "changed=0 " in role().stdout
    shown = subprocess.run(
        ["apt-config", "dump", "Dir::Etc"],
        env=os.environ | {"APT_CONFIG": str(tmp_path / "apt.conf")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert 'Dir::Etc::sourceparts "-";' in shown
    assert 'Dir::Etc::sourcelist "/etc/apt/sources.list.d/hailo-whisper.sources";' in shown


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"airgap_bundle": "/nowhere"}, "/nowhere is not an unpacked bundle."),
        (
            {"airgap_suite": "trixie", "airgap_arch": "arm64"},
            "this-machine is trixie on arm64, and this bundle is for bookworm/amd64. Make it again with `--suite trixie --arch arm64` too.",
        ),
        (
            {"hailo_whisper_models": ["base", "small", "tiny"]},
            "gives this-machine small, tiny, and this bundle has base. Make it again with `--model small --model tiny` too",
        ),
        (
            {"airgap_found": {"version": "", "free_mb": 49, "clock": 2_000_000_000}},
            "has 49 MB free on the file system of /var/lib, and 50 MB are needed there",
        ),
        (
            {"airgap_found": {"version": "", "free_mb": 99, "clock": 1_700_000_000}},
            "The clock of this-machine says 2023-11-14 22:13 UTC, which is before",
        ),
    ],
)
def test_a_host_that_cannot_be_deployed_is_refused(role: Role, tmp_path: Path, variables: dict[str, Any], sentence: str) -> None:
    assert sentence in said(role(**variables))
    assert not (tmp_path / "apt.conf").exists()


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        # Its packages, and not what a virtual environment needs.
        ({}, "has no hailo-whisper for Debian's bookworm on amd64, which this-machine is. It has there: 0.0.1."),
        ({"airgap_suite": "trixie"}, "this-machine is trixie on amd64, and this bundle is for bookworm/amd64."),
    ],
)
def test_the_playbook_looks_for_what_it_deploys_before_it_changes_anything(
    project: Path, bundle: Path, variables: dict[str, Any], sentence: str
) -> None:
    hosts = {"hailo_whisper": {"hosts": {"this-machine": {"ansible_connection": "local"}}}}
    (bundle.parent / "hosts.yml").write_text(json.dumps(hosts))
    shutil.rmtree(bundle / "playbooks")
    shutil.copytree(project / "playbooks", bundle / "playbooks")
    suits: dict[str, Any] = {"preflight_refusals": [], "server_suite": "bookworm", "server_architecture": "amd64"} | DEBIAN
    suits["airgap_found"] = {"version": "", "free_mb": 99, "clock": 2_000_000_000}
    given = json.dumps(suits | {"hailo_whisper_airgap_bundle": str(bundle)} | variables)
    playbook = bundle / "playbooks/airgap.yml"
    done = ansible_playbook("--inventory", bundle.parent / "hosts.yml", "--check", playbook, "--extra-vars", given)
    assert sentence in said(done)
    assert done.stdout.count("PLAY [") == 1


@pytest.mark.parametrize(("playbook", "gateway"), [("site", True), ("airgap", False)])
def test_a_gateway_which_no_bundle_has_is_left_out(project: Path, tmp_path: Path, playbook: str, gateway: bool) -> None:
    hosts: dict[str, Any] = {"hailo_whisper": {"hosts": {"kitchen": {}}}, "hailo_whisper_gateway": {"hosts": {"tower": {}}}}
    (tmp_path / "hosts.yml").write_text(json.dumps(hosts))
    command = ["ansible-playbook", "-i", str(tmp_path / "hosts.yml"), f"playbooks/{playbook}.yml", "--list-hosts"]
    shown = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True).stdout.split()
    assert "kitchen" in shown
    assert ("tower" in shown) is gateway


def test_a_host_that_has_the_version_needs_no_room(role: Role) -> None:
    done = role(airgap_found={"version": "0.0.1", "free_mb": 0, "clock": 2_000_000_000})
    assert done.returncode == 0, done.stdout


def test_a_bundle_that_lost_a_file_meanwhile_is_refused(role: Role, bundle: Path) -> None:
    next(bundle.rglob("InRelease")).unlink()
    assert "is not a whole bundle" in said(role())


@pytest.mark.parametrize(
    ("variables", "models"),
    [
        ({}, ["base"]),
        ({"hailo_whisper_model": "tiny.en"}, ["tiny.en"]),
        (
            {
                "hailo_whisper_model": "tiny",
                "hailo_whisper_config": {"model": {"name": "small"}, "models": {"offered": ["tiny.en"]}},
            },
            ["small", "tiny.en"],
        ),
        ({"hailo_whisper_config": {"model": {"path": "/srv/mine"}, "server": None}}, []),
        (
            {"hailo_whisper_models": ["Whisper-Base", "base"], "hailo_whisper_bundle_models": ["tiny"]},
            ["Whisper-Base", "base", "tiny"],
        ),
    ],
)
def test_the_models_of_a_host_are_those_that_it_would_get(variables: dict[str, Any], models: list[str]) -> None:
    assert needs(["kitchen"], {"kitchen": variables})["models"] == models


def test_a_bundle_is_for_all_that_the_hosts_are(project: Path) -> None:
    shown = subprocess.run(
        ["ansible-inventory", "-i", str(project / "inventory/airgap"), "--list"],
        cwd=project,
        capture_output=True,
        text=True,
        check=True,
    )
    hostvars = json.loads(shown.stdout)["_meta"]["hostvars"]
    assert needs(hostvars, hostvars) == {
        "suites": ["bookworm", "trixie"],
        "arches": ["amd64", "arm64"],
        "models": ["base", "tiny.en"],
    }


@pytest.fixture
def bundle_playbook(project: Path, tmp_path: Path) -> Role:
    """playbooks/bundle.yml, with a script/bundle that says how it was called."""
    (tmp_path / "script").mkdir()
    script = tmp_path / "script/bundle"
    script.write_text('#!/bin/sh\necho "$*"\necho "in $PWD"\n')
    script.chmod(0o755)

    def run(inventory: str, **variables: Any) -> "subprocess.CompletedProcess[str]":
        given = json.dumps({"bundle_project": str(tmp_path)} | variables)
        command = ["ansible-playbook", "-i", inventory, str(project / "playbooks/bundle.yml"), "--extra-vars", given]
        return subprocess.run(
            command,
            cwd=tmp_path,
            env=os.environ | {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_CONFIG": str(project / "ansible.cfg"), "PWD": str(tmp_path)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_the_playbook_makes_what_the_inventory_needs_where_the_operator_is(
    project: Path, tmp_path: Path, bundle_playbook: Role
) -> None:
    done = bundle_playbook(
        f"{project}/inventory/airgap", hailo_whisper_bundle_key="me", hailo_whisper_bundle_sources=["wheels", "hub"]
    )
    assert done.returncode == 0, done.stdout + done.stderr
    needed = "--suite bookworm --suite trixie --arch amd64 --arch arm64 --model base --model tiny.en --source wheels --source hub --key me"
    assert needed in " ".join(done.stdout.split())
    assert f"in {tmp_path}" in done.stdout


def test_the_playbook_refuses_an_inventory_without_machines(bundle_playbook: Role) -> None:
    assert "Copy inventory/airgap, put your machines into it" in said(bundle_playbook("nobody,"))

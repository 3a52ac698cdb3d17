"""The role `hailo_apps`, tried on this machine with folders of its own and a small hailo-apps that the tests wrote."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_run import HERE, ansible_playbook, changed
from hefs import hef
from upstream import DEFINES, Upstream

Role = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    return Upstream(tmp_path)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return tmp_path / "vendor" / "hailo-apps"


@pytest.fixture
def role(tmp_path: Path, upstream: Upstream) -> Role:
    (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "roles": ["hailo_apps"]}]))
    (tmp_path / f"venv/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages").mkdir(parents=True)
    owner = tmp_path.owner()
    plain: dict[str, Any] = {
        "hailo_apps_parent": str(tmp_path / "vendor"),
        "hailo_apps_venv": str(tmp_path / "venv"),
        "hailo_apps_owner": owner,
        "hailo_apps_group": tmp_path.group(),
        # Whose version the folder above has.
        "hailo_apps_python": sys.executable,
        "hailo_whisper_config": {"hailo": {"resources": str(tmp_path / "resources")}},
        "hailo_whisper_hailo_apps": True,
        "hailo_whisper_hailo_apps_commit": upstream.new,
        "hailo_whisper_hailo_apps_repositories": [upstream.address],
    }

    def run(*arguments: str, **variables: Any) -> "subprocess.CompletedProcess[str]":
        chosen = {name: value for name, value in (plain | variables).items() if value is not None}
        (tmp_path / "variables.json").write_text(json.dumps(chosen))
        given = (*arguments, "--extra-vars", f"@{tmp_path / 'variables.json'}")
        return ansible_playbook(*HERE, "--diff", tmp_path / "play.yml", *given, one_line=True)

    return run


def test_the_role_installs_updates_and_goes_back(role: Role, upstream: Upstream, tree: Path, tmp_path: Path) -> None:
    # A run that was interrupted may have left something there.
    before = set(Path("/var/tmp").glob("*.hailo-apps"))
    (site,) = tmp_path.glob("venv/lib/python3*/site-packages")
    assert changed(role("--check")) == 3, "the tree, the line for the environment and the folders"
    assert not tree.exists()
    assert not (tmp_path / "resources").exists()
    assert changed(role()) == 3
    assert (site / "hailo-whisper-hailo-apps.pth").read_text() == f"{tree}\n"
    assert (tmp_path / "resources/models/hailo10h").is_dir()
    assert f'RESOURCES_ROOT_PATH_DEFAULT = "{tmp_path / "resources"}"' in (tree / DEFINES).read_text()
    for again in (role("--check"), role()):
        assert changed(again) == 0
    back = {"hailo_whisper_hailo_apps_commit": upstream.old}
    assert changed(role("--check", **back)) == 1
    assert changed(role(**back)) == 1
    assert changed(role(**back)) == 0
    path, total = upstream.archive(tmp_path / "carried.tar.gz", upstream.new)
    carried = {"hailo_whisper_hailo_apps_archive": path, "hailo_whisper_hailo_apps_archive_sha256": total}
    assert changed(role(**carried)) == 1
    assert changed(role(**carried)) == 0
    assert set(Path("/var/tmp").glob("*.hailo-apps")) <= before, "nothing of the transfer is left"


def test_the_downloader_that_is_installed_brings_a_model(role: Role, project: Path, tmp_path: Path) -> None:
    """From the role to the file: the program finds what the role placed, by the line in the environment alone."""
    assert changed(role()) == 3
    (site,) = tmp_path.glob("venv/lib/python3*/site-packages")
    # The test's own interpreter stands for the one of the environment.
    (tmp_path / "sitecustomize.py").write_text(f"import site\nsite.addsitedir({str(site)!r})\n")
    paths = {
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(project / "app/src"), *sys.path]),
        "HAILO_WHISPER_STORAGE_MODELS": str(tmp_path / "store"),
    }
    command = [sys.executable, "-m", "hailo_whisper", "models", "pull", "Whisper-Base", "--source", "hailo-apps"]
    done = subprocess.run(command, env=os.environ | paths, capture_output=True, text=True, check=False)
    assert done.stdout == "pulled Whisper-Base from hailo-apps\n", done.stderr
    assert (tmp_path / "store/Whisper-Base/Whisper-Base.hef").read_bytes() == hef()
    assert changed(role()) == 0, "the download has changed nothing in the tree"


def said(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode != 0, done.stdout
    return " ".join((done.stdout + done.stderr).split())


def test_what_the_role_refuses(role: Role, tree: Path, tmp_path: Path) -> None:
    assert "is main, and a commit has 40 hexadecimal digits. A branch or a tag could be another thing tomorrow." in said(
        role(
            hailo_whisper_hailo_apps_commit="main", hailo_whisper_hailo_apps_repositories=["https://me:secret@git.example/a.git"]
        )
    )
    archive = {"hailo_whisper_hailo_apps_archive": str(tmp_path / "none.tar.gz")}
    assert "Set it to what `sha256sum` says of an archive that you trust." in said(role(**archive))
    archive["hailo_whisper_hailo_apps_archive_sha256"] = "0" * 64
    assert f"There is no file {tmp_path}/none.tar.gz on the controller." in said(role("--check", **archive))
    assert not tree.exists()


def test_a_failure_on_the_host_says_what_to_do_and_no_password(role: Role, tree: Path) -> None:
    done = role("-vvv", hailo_whisper_hailo_apps_repositories=["http://me:secret@127.0.0.1:9/hailo-apps.git"])
    assert "hailo-apps could not be fetched: http://127.0.0.1:9/hailo-apps.git could not be asked" in said(done)
    assert (
        "What was installed before is as it was. The service does not need hailo-apps: with hailo_whisper_hailo_apps false"
        in said(done)
    )
    assert "secret" not in said(done)
    assert not tree.exists()


OFFLINE = {"accelerator_taken": "hailo", "hailo_whisper_server_offline": True}


@pytest.mark.parametrize(
    ("inventory", "wanted"),
    [
        ({}, False),
        ({"accelerator_taken": "cpu"}, False),
        ({"accelerator_taken": "hailo"}, True),
        ({"accelerator_taken": "hailo", "hailo_whisper_hailo_apps": False}, False),
        (OFFLINE, False),
        (OFFLINE | {"hailo_whisper_hailo_apps_archive": __file__, "hailo_whisper_hailo_apps_archive_sha256": "0" * 64}, True),
    ],
)
def test_it_is_for_hosts_with_the_npu(role: Role, tree: Path, inventory: dict[str, Any], wanted: bool) -> None:
    done = role("--check", **({"hailo_whisper_hailo_apps": None} | inventory))
    assert (changed(done) > 0) == wanted

"""What the role server refuses before it changes anything, which package it takes for a host, and what it says of apt's errors."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_run import HERE, ansible_playbook

Played = Callable[[dict[str, dict[str, Any]], dict[str, Any]], dict[str, str]]
CHECK = {"ansible.builtin.include_role": {"name": "server", "tasks_from": "check"}}
# Of this machine, whatever it is.
HOST = {"server_suite": "bookworm", "server_architecture": "amd64"}


@pytest.fixture
def played(tmp_path: Path) -> Played:
    """Play tasks, each with its variables, in one run against this machine; what each said when it failed, and nothing when it did not."""

    def play(cases: dict[str, dict[str, Any]], task: dict[str, Any]) -> dict[str, str]:
        answers = tmp_path / "answers"
        answers.mkdir()
        tasks = []
        for case, variables in cases.items():
            note = {"ansible.builtin.copy": {"content": "{{ ansible_failed_result.msg }}", "dest": f"{answers}/{case}"}}
            tasks.append({"block": [task], "rescue": [note], "vars": HOST | variables})
        (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
        done = ansible_playbook(*HERE, tmp_path / "play.yml")
        assert done.returncode == 0, done.stdout + done.stderr
        return {case: " ".join((answers / case).read_text().split()) if (answers / case).exists() else "" for case in cases}

    return play


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A folder like that of script/build-repo, with two versions for one release."""
    folder = tmp_path / "repository"
    index = folder / "dists/bookworm/main/binary-amd64/Packages"
    index.parent.mkdir(parents=True)
    paragraphs = [
        ("hailo-whisper", "0.1.0+deb12u1"),
        ("hailo-whisper-accel-hailo", "0.3.0+deb12u1"),
        ("hailo-whisper", "0.2.0+deb12u1"),
    ]
    index.write_text("\n".join(f"Package: {name}\nVersion: {version}\n" for name, version in paragraphs))
    (folder / "hailo-whisper.asc").touch()
    return folder


@pytest.fixture
def debs(tmp_path: Path) -> Path:
    """A folder like that of script/build-deb, of two runs."""
    folder = tmp_path / "debs"
    folder.mkdir()
    for rest in ("0.1.0+deb12u1_amd64", "0.1.0+deb12u1_arm64", "0.1.0+deb13u1_amd64"):
        for name in ("hailo-whisper", "hailo-whisper-accel-hailo"):
            (folder / f"{name}_{rest}.deb").touch()
    return folder


ALLOWED: dict[str, dict[str, str]] = {
    "newest": {"hailo_whisper_apt_repository": "REPOSITORY"},
    "version": {"hailo_whisper_apt_repository": "REPOSITORY", "hailo_whisper_version": "0.1.0"},
    "build": {"hailo_whisper_apt_repository": "REPOSITORY", "hailo_whisper_version": "0.2.0+deb12u1"},
    "address": {
        "hailo_whisper_apt_repository": "https://packages.example",
        "hailo_whisper_apt_key": "REPOSITORY/hailo-whisper.asc",
    },
    "packages": {"hailo_whisper_deb": "DEBS"},
    "accelerator": {"hailo_whisper_deb": "DEBS", "hailo_whisper_accelerator": "hailo"},
    "file": {"hailo_whisper_deb": "DEBS/hailo-whisper_0.1.0+deb12u1_amd64.deb"},
    "arm64": {"hailo_whisper_deb": "DEBS", "server_architecture": "arm64"},
    "trixie": {"hailo_whisper_deb": "DEBS", "server_suite": "trixie"},
    "one-of-several": {"hailo_whisper_deb": "MORE", "hailo_whisper_version": "0.2.0"},
}
REFUSALS: dict[str, tuple[dict[str, str], list[str]]] = {
    "method": ({"hailo_whisper_install_method": "snap"}, ["is snap. Set it to venv or deb."]),
    "version": (
        {"hailo_whisper_install_method": "venv", "hailo_whisper_version": "0.0.9"},
        ["is 0.0.9, and this tree, which is what the method venv installs, is 0.", "set hailo_whisper_install_method to deb"],
    ),
    "nowhere": ({}, ["the inventory names neither a repository nor a package. Set one: hailo_whisper_apt_repository"]),
    "both": (
        {"hailo_whisper_apt_repository": "https://packages.example", "hailo_whisper_deb": "/srv"},
        ["names both a repository and a package"],
    ),
    "no-key": (
        {"hailo_whisper_apt_repository": "https://packages.example/x"},
        [
            "There is no file with the key on the controller. Set hailo_whisper_apt_key",
            "https://packages.example/x is signed with",
        ],
    ),
    "missing-key": (
        {"hailo_whisper_apt_repository": "https://packages.example/x", "hailo_whisper_apt_key": "/nowhere/a.asc"},
        ["There is no file /nowhere/a.asc on the controller"],
    ),
    "password": (
        {"hailo_whisper_apt_repository": "https://me:s3cret@packages.example"},
        ["has a name or a password in it", "apt/auth.conf.d"],
    ),
    "release": (
        {"hailo_whisper_apt_repository": "REPOSITORY", "server_suite": "trixie"},
        ["has no hailo-whisper for Debian's trixie on amd64", "It has there: none.", "Have script/build-repo put it in"],
    ),
    "no-version": (
        {"hailo_whisper_apt_repository": "REPOSITORY", "hailo_whisper_version": "0.3.0"},
        ["has no hailo-whisper 0.3.0 for Debian's bookworm on amd64", "It has there: 0.1.0+deb12u1, 0.2.0+deb12u1."],
    ),
    "no-package": (
        {"hailo_whisper_deb": "DEBS", "hailo_whisper_version": "0.2.0"},
        [
            "is no package hailo-whisper 0.2.0 for Debian's bookworm on amd64. script/build-deb --suite bookworm --arch amd64 --output FOLDER"
        ],
    ),
    "no-file": ({"hailo_whisper_deb": "/nowhere/hailo-whisper_0.1.0+deb12u1_amd64.deb"}, ["there is no package hailo-whisper"]),
    "several": (
        {"hailo_whisper_deb": "MORE"},
        ["there are several packages: hailo-whisper_0.", "Name one by hailo_whisper_version."],
    ),
    "no-accelerator": (
        {"hailo_whisper_deb": "DEBS", "hailo_whisper_accelerator": "nvidia"},
        [
            "beside hailo-whisper_0.1.0+deb12u1_amd64.deb there is no hailo-whisper-accel-nvidia_0.1.0+deb12u1_amd64.deb, which it needs",
            "script/build-deb makes both in one run.",
        ],
    ),
    "other-host": (
        {"hailo_whisper_deb": "DEBS/hailo-whisper_0.1.0+deb13u1_amd64.deb"},
        [
            "hailo-whisper_0.1.0+deb13u1_amd64.deb (hailo_whisper_deb) is not hailo-whisper for Debian's bookworm on amd64",
            "Name a folder",
        ],
    ),
}


def test_what_is_refused_and_what_is_not(played: Played, repository: Path, debs: Path) -> None:
    more = shutil.copytree(debs, debs.with_name("more"))
    (more / "hailo-whisper_0.2.0+deb12u1_amd64.deb").touch()
    places = {"REPOSITORY": str(repository), "DEBS": str(debs), "MORE": str(more)}

    def placed(variables: dict[str, str]) -> dict[str, Any]:
        found = {"hailo_whisper_install_method": "deb", **variables}
        for place, path in places.items():
            found = {name: value.replace(place, path) for name, value in found.items()}
        return found

    cases = {f"refused-{case}": variables for case, (variables, _) in REFUSALS.items()} | {
        f"allowed-{case}": variables for case, variables in ALLOWED.items()
    }
    answers = played({case: placed(variables) for case, variables in cases.items()}, CHECK)
    for case in ALLOWED:
        assert answers[f"allowed-{case}"] == ""
    for case, (_, sentences) in REFUSALS.items():
        for sentence in sentences:
            assert sentence in answers[f"refused-{case}"], case
        assert "s3cret" not in answers[f"refused-{case}"]


APT = {
    "release": (
        "E: The repository 'https://p.example trixie Release' does not have a Release file.",
        "has nothing for Debian's bookworm",
    ),
    "other-key": (
        "W: GPG error: https://p.example bookworm InRelease: NO_PUBKEY 3E96690DB9BD5E86\nE: The repository 'https://p.example' is not signed.",
        "It is not signed with the key /k.asc, or was changed after it was signed.",
    ),
    "sqv": (
        "E: Failed to fetch file:/r/InRelease  Sub-process /usr/bin/sqv returned an error code (1), error message is: Missing key ABC, which is needed to verify signature.",
        "It is not signed with the key /k.asc",
    ),
    "version": ("E: Version '0.9*' for 'hailo-whisper' was not found", "It has no hailo-whisper for Debian's bookworm on amd64"),
    "full": (
        "dpkg: error processing archive x.deb (--unpack):\n cannot copy extracted data: No space left on device",
        "Free some room",
    ),
    "cut-off": (
        "E: Failed to fetch file:/r/x.deb  Hash Sum mismatch\n   Hashes of expected file:",
        "What came is not the whole package",
    ),
    "local": ("E: Invalid archive member header\nE: Could not read meta data from /x.deb", "What came is not the whole package"),
    "depends": ("E: Unable to correct problems, you have held broken packages.", "A package of Debian's is missing."),
    "away": ("E: Failed to fetch https://me:s3cret@p.example/x  Could not connect to p.example", "reaches https://p.example"),
    "cut-short": ("E: dpkg was interrupted, you must manually run 'dpkg --configure -a'", "then the playbook again"),
    "other": ("E: The sky fell.", "Mend that, and run the playbook again."),
}


def test_what_apt_says_is_passed_on_with_what_to_do(project: Path, played: Played) -> None:
    variables = yaml.safe_load((project / "roles/server/vars/main.yml").read_text(encoding="utf-8"))
    host = {
        "server_packages": ["hailo-whisper"],
        "server_version": "",
        "server_repository": "https://p.example",
        "server_repository_public": "/k.asc",
    }
    cases = {
        case: variables | HOST | host | {"server_apt_said": {"stdout": "Reading package lists...\n", "stderr": stderr}}
        for case, (stderr, _) in APT.items()
    }
    answers = played(cases, {"ansible.builtin.fail": {"msg": "{{ server_apt_reason }}"}})
    for case, (stderr, cure) in APT.items():
        assert answers[case].startswith("apt says: " + stderr.split("\n")[0][:25]), case
        assert cure in answers[case], case
        assert answers[case].count("Mend that") == (1 if case == "other" else 0), "one cure is enough"
        assert "s3cret" not in answers[case]


@pytest.mark.parametrize("owned", [True, False])
def test_what_no_package_owns_goes_and_what_the_roles_add_stays(project: Path, tmp_path: Path, owned: bool) -> None:
    source = (project / "roles/server/files/strays.py").read_text(encoding="utf-8")
    venv, lists = tmp_path / "venv", tmp_path / "info"
    site = venv / "lib/python3.11/site-packages"
    for path in ("one/__init__.py", "pip/__init__.py", "hailo-whisper-hailo-apps.pth", "one/__pycache__/old.pyc"):
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).touch()
    (venv / "bin").mkdir()
    (venv / "bin/pip").symlink_to("/nowhere")
    lists.mkdir()
    kept = [venv, venv / "lib", venv / "lib/python3.11", site, site / "one", site / "one/__init__.py"]
    (lists / "hailo-whisper.list").write_text("".join(f"{path}\n" for path in (kept if owned else ["/etc/hailo"])))
    (lists / "hailo-whisper-accel-hailo.list").write_text(f"{site}/one/__pycache__\n")
    program = tmp_path / "strays.py"
    program.write_text(source.replace('"/var/lib/dpkg/info"', f'"{lists}"'))
    strays = sorted([venv / "bin", site / "one/__pycache__/old.pyc", site / "pip"]) if owned else []
    for command in ("look", "remove"):
        done = subprocess.run([sys.executable, program, command, venv], capture_output=True, text=True, check=True)
        assert sorted(map(Path, done.stdout.splitlines())) == strays
    assert [path for path in strays if path.exists()] == []
    assert (site / "hailo-whisper-hailo-apps.pth").exists()
    assert (site / "one/__init__.py").exists()


def test_dpkg_asks_nothing_and_older_versions_come_only_when_asked_for(project: Path) -> None:
    variables = yaml.safe_load((project / "roles/server/vars/main.yml").read_text(encoding="utf-8"))
    assert "--force-confold" in variables["server_apt"]
    assert "['--allow-downgrades'] if server_version | length > 0 or server_deb | length > 0" in variables["server_apt"]
    assert "'DEBIAN_FRONTEND': 'noninteractive'" in variables["server_apt_environment"]


def test_a_file_on_the_controller_is_brought_to_a_fresh_host_and_to_one_of_another_version(project: Path, played: Played) -> None:
    outdated = yaml.safe_load((project / "roles/server/vars/main.yml").read_text(encoding="utf-8"))["server_deb_outdated"]
    known = {"server_deb_version": "0.2.0+deb12u1", "server_deb_outdated": outdated}
    cases = {
        "fresh": {"server_packages": ["hailo-whisper"], "server_installed": {}},
        "other": {"server_packages": ["hailo-whisper"], "server_installed": {"hailo-whisper": "0.1.0+deb12u1"}},
        "same": {"server_packages": ["hailo-whisper"], "server_installed": {"hailo-whisper": "0.2.0+deb12u1"}},
    }
    task = {"ansible.builtin.assert": {"that": "server_deb_outdated", "fail_msg": "as wanted"}}
    said = played({case: known | variables for case, variables in cases.items()}, task)
    assert said == {"fresh": "", "other": "", "same": "as wanted"}


def test_of_the_packages_all_go_that_share_files_with_an_environment_and_no_model(project: Path, played: Played) -> None:
    unpackaged = yaml.safe_load((project / "roles/server/vars/main.yml").read_text(encoding="utf-8"))["server_unpackaged"]
    names = ("hailo-whisper", "hailo-whisper-accel-nvidia", "hailo-whisper-cuda", "hailo-whisper-model-base")
    cases = {
        "plain": {"server_installed": {"hailo-whisper": "1"}},
        "all": {"server_installed": dict.fromkeys(names, "1")},
    }
    task = {"ansible.builtin.fail": {"msg": "{{ server_unpackaged | join(' ') }}"}}
    said = played({case: {"server_unpackaged": unpackaged} | variables for case, variables in cases.items()}, task)
    assert said == {"plain": "hailo-whisper", "all": "hailo-whisper hailo-whisper-accel-nvidia hailo-whisper-cuda"}


def test_what_was_brought_goes_whatever_fails(played: Played, debs: Path) -> None:
    there = "query('ansible.builtin.fileglob', __server_brought.path ~ '/*') | join(' ')"
    variables = {
        "hailo_whisper_install_method": "deb",
        "hailo_whisper_deb": str(debs),
        "server_packages": ["hailo-whisper"],
        "server_installed": {},
        # Fails when apt is to be asked, and says what there is by then.
        "server_apt_wanted": f"{{{{ [undef(hint='there is ' ~ {there})] }}}}",
    }
    install = {"ansible.builtin.include_role": {"name": "server", "tasks_from": "package"}}
    said = played({"failing": variables}, install)["failing"]
    (brought,) = re.findall(r"there is (/var/tmp/\S+/hailo-whisper_0\.1\.0\+deb12u1_amd64\.deb)", said)
    assert not Path(brought).parent.exists()

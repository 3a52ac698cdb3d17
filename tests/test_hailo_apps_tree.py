"""The tree of hailo-apps that the program of the role `hailo_apps` makes: the same one each time, whichever way it comes."""

import hashlib
import stat
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from upstream import DEFINES, Upstream, Vendor, asking, git, shown


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    return Upstream(tmp_path)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return tmp_path / "vendor" / "hailo-apps"


@pytest.fixture
def vendor(tree: Path, upstream: Upstream) -> Vendor:
    return asking(tree, upstream)


def test_a_commit_is_placed_patched_and_then_left_alone(vendor: Vendor, tree: Path) -> None:
    assert vendor("look")["state"] == "missing"
    assert vendor("place") == {"placed": True}
    assert vendor("look")["state"] == "as wanted"
    assert vendor("place") == {"placed": False}
    assert (
        'RESOURCES_ROOT_PATH_DEFAULT = "/var/lib/hailo-whisper/resources"  # Set by hailo-whisper.\n'
        in (tree / DEFINES).read_text()
    )
    made = {str(path.parent.relative_to(tree)) for path in tree.rglob("__init__.py") if not path.read_bytes()}
    assert {"hailo_apps", "hailo_apps/python", "hailo_apps/python/core", "hailo_apps/python/standalone_apps"} <= made
    assert not (tree / "hailo_apps/cpp/__init__.py").exists(), "there is no module in it"
    assert not (tree / ".git").exists()
    assert not (tree / "link").exists()
    modes = {path.name: f"{stat.S_IMODE(path.stat().st_mode):o}" for path in (tree, tree / "run.sh", tree / DEFINES)}
    assert modes == {"hailo-apps": "755", "run.sh": "755", "defines.py": "644"}
    assert [path.name for path in tree.parent.iterdir()] == ["hailo-apps"]


def test_another_commit_replaces_it_and_the_same_tree_comes_out_each_time(vendor: Vendor, tree: Path, upstream: Upstream) -> None:
    vendor("place")
    new = shown(tree)
    assert vendor("look", commit=upstream.old)["state"] == "outdated"
    assert vendor("place", commit=upstream.old) == {"placed": True}
    assert (
        "resource-name"
        not in (tree / "hailo_apps/installation/download_resources.py").read_text().partition("OPTIONS = ")[2].partition("\n")[0]
    )
    assert vendor("place") == {"placed": True}
    assert shown(tree) == new


@pytest.mark.parametrize("what", ["patch", "init", "extra", "mode", "stamp"])
def test_what_was_changed_by_hand_is_made_anew(vendor: Vendor, tree: Path, what: str) -> None:
    vendor("place")
    before = shown(tree)
    if what == "patch":
        (tree / DEFINES).write_text('RESOURCES_ROOT_PATH_DEFAULT = "/usr/local/hailo/resources"\n')
    elif what == "init":
        (tree / "hailo_apps/__init__.py").unlink()
    elif what == "extra":
        (tree / "extra.py").write_text("")
    elif what == "mode":
        (tree / DEFINES).chmod(0o666)
    else:
        (tree / ".hailo-whisper.json").write_text("[")
    assert vendor("look")["state"] == ("outdated" if what == "stamp" else "changed")
    assert vendor("place") == {"placed": True}
    assert shown(tree) == before


def test_what_python_compiles_there_is_no_change(vendor: Vendor, tree: Path) -> None:
    vendor("place")
    (tree / "hailo_apps/__pycache__").mkdir()
    (tree / "hailo_apps/__pycache__/a.pyc").write_bytes(b"")
    assert vendor("look")["state"] == "as wanted"


def test_another_folder_of_resources_is_patched_in(vendor: Vendor, tree: Path) -> None:
    vendor("place")
    odd = '/srv/"my" \\models'
    assert vendor("place", resources=odd) == {"placed": True}
    told: dict[str, Any] = {"__file__": str(tree / DEFINES)}
    exec((tree / DEFINES).read_text(), told)
    assert told["RESOURCES_ROOT_PATH_DEFAULT"] == odd


def test_a_mirror_has_it_when_the_first_does_not_answer(vendor: Vendor, upstream: Upstream, tmp_path: Path) -> None:
    assert vendor("place", repositories=[(tmp_path / "gone").as_uri(), upstream.address]) == {"placed": True}


def test_a_commit_that_no_branch_names_any_more(vendor: Vendor, upstream: Upstream) -> None:
    git(upstream.folder, "tag", "kept", upstream.new)
    git(upstream.folder, "reset", "--quiet", "--hard", upstream.old)
    git(upstream.folder, "config", "uploadpack.allowAnySHA1InWant", "false")
    git(upstream.folder, "config", "protocol.version", "0")
    assert vendor("place") == {"placed": True}


@pytest.mark.parametrize("name", ["hailo-apps.tar.gz", "hailo-apps.zip"])
@pytest.mark.parametrize("remote", [False, True])
def test_an_archive(vendor: Vendor, upstream: Upstream, tree: Path, tmp_path: Path, name: str, remote: bool) -> None:
    path, total = upstream.archive(tmp_path / name, upstream.new)
    wanted = {"archive": Path(path).as_uri() if remote else path, "sha256": total, "repositories": []}
    assert vendor("place", **wanted) == {"placed": True}
    assert vendor("look", **wanted)["state"] == "as wanted"
    from_archive = shown(tree)
    vendor("place")
    assert shown(tree) == from_archive, "a commit is the same tree, whichever way it comes"


def test_what_an_interrupted_run_left_is_swept(vendor: Vendor, tree: Path) -> None:
    (tree.parent / ".hailo-apps.abc/unpacked").mkdir(parents=True)
    assert vendor("place") == {"placed": True}
    assert [path.name for path in tree.parent.iterdir()] == ["hailo-apps"]


def test_without_git(vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert vendor("look") == {
        "state": "missing",
        "git": False,
        "site_packages": f"/venv/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages",
    }
    assert "There is no git on this machine. Install it, or give an archive" in vendor("place")["error"]


def test_a_link_in_an_archive_leads_nowhere(vendor: Vendor, upstream: Upstream, tree: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    git(upstream.folder, "archive", f"--output={path}", upstream.new)
    with tarfile.open(path, "a") as opened:
        device = tarfile.TarInfo("hailo_apps/device")
        device.type, device.devmajor, device.devminor = tarfile.CHRTYPE, 1, 3
        opened.addfile(device)
    assert vendor("place", archive=str(path), sha256=hashlib.sha256(path.read_bytes()).hexdigest()) == {"placed": True}
    assert not (tree / "link").exists()
    assert not (tree / "hailo_apps/device").exists()

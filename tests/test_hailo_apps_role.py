"""The role `hailo_apps`, tried on this machine with folders of its own and a small hailo-apps that the tests wrote."""

import base64
import hashlib
import importlib.util
import io
import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import scripted_hailo_apps
from hefs import hef

Vendor = Callable[..., dict[str, Any]]
Role = Callable[..., "subprocess.CompletedProcess[str]"]

DEFINES = "hailo_apps/python/core/common/defines.py"


def git(folder: Path, *arguments: str) -> str:
    who = {"GIT_CONFIG_GLOBAL": "/dev/null"} | {
        f"GIT_{one}_{two}": "t" for one in ("AUTHOR", "COMMITTER") for two in ("NAME", "EMAIL")
    }
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | who).stdout.strip()


class Upstream:
    """A repository of two commits, with the downloader of the one generation and of the other."""

    def __init__(self, folder: Path) -> None:
        self.published = folder / "published"
        self.published.mkdir()
        (self.published / "Whisper-Base.hef").write_bytes(hef())
        self.folder = folder / "upstream"
        self.folder.mkdir()
        git(self.folder, "init", "--quiet", "--initial-branch=main")
        self.old, self.new = self.commit("old"), self.commit("new")

    def commit(self, generation: scripted_hailo_apps.Generation, defines: str = "") -> str:
        scripted_hailo_apps.write(self.folder, self.published.as_uri(), generation)
        if defines:
            (self.folder / DEFINES).write_text(defines)
        (self.folder / "run.sh").write_text("#!/bin/sh\n")
        (self.folder / "run.sh").chmod(0o755)
        (self.folder / "link").unlink(missing_ok=True)
        (self.folder / "link").symlink_to("/etc/passwd")
        git(self.folder, "add", "--all")
        git(self.folder, "commit", "--quiet", "--allow-empty", "--message", generation)
        return git(self.folder, "rev-parse", "HEAD")

    @property
    def address(self) -> str:
        return self.folder.as_uri()

    def archive(self, path: Path, commit: str) -> tuple[str, str]:
        """Its path and sum."""
        kind = "zip" if path.suffix == ".zip" else "tar.gz"
        git(self.folder, "archive", f"--format={kind}", "--prefix=hailo-apps-1/", f"--output={path}", commit)
        return str(path), hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    return Upstream(tmp_path)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return tmp_path / "vendor" / "hailo-apps"


@pytest.fixture
def vendor(project: Path, tree: Path, upstream: Upstream) -> Vendor:
    """Run the role's program, as the role does. Unless told otherwise it wants the newer commit."""

    def run(action: str, **wanted: Any) -> dict[str, Any]:
        plain = {
            "tree": str(tree),
            "venv": "/venv",
            "resources": "/var/lib/hailo-whisper/resources",
            "commit": upstream.new,
            "repositories": [upstream.address],
            "archive": "",
            "sha256": "",
        }
        command = [sys.executable, str(project / "roles/hailo_apps/files/vendor.py"), action, json.dumps(plain | wanted)]
        answer: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        return answer

    return run


def shown(tree: Path) -> dict[str, str]:
    """What is in a tree: the mode and the content of every file."""
    return {
        str(path.relative_to(tree)): f"{stat.S_IMODE(path.stat().st_mode):o} {path.read_text() if path.is_file() else ''}"
        for path in tree.rglob("*")
        if path.name != ".hailo-whisper.json"
    }


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


def archive_of(path: Path, *members: tuple[str, bytes]) -> dict[str, str]:
    """What an archive with these files is asked for by."""
    with zipfile.ZipFile(path, "w") as opened:
        for name, data in members:
            opened.writestr(name, data)
    return {"archive": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


class Faults:
    """Each makes one thing wrong, and returns what is then asked for."""

    @staticmethod
    def unreachable(upstream: Upstream, tmp_path: Path) -> dict[str, Any]:
        return {"repositories": [(tmp_path / "gone").as_uri()], "commit": upstream.old}

    @staticmethod
    def nobody_there(upstream: Upstream, tmp_path: Path) -> dict[str, Any]:
        return {"repositories": ["http://me:secret@127.0.0.1:9/hailo-apps.git"], "commit": upstream.old}

    @staticmethod
    def no_such_commit(upstream: Upstream, tmp_path: Path) -> dict[str, Any]:
        return {"commit": "0123456789" * 4}

    @staticmethod
    def no_repository(upstream: Upstream, tmp_path: Path) -> dict[str, Any]:
        return {"repositories": [], "commit": upstream.old}

    @staticmethod
    def other_defines(upstream: Upstream, tmp_path: Path) -> dict[str, Any]:
        return {"commit": upstream.commit("new", "RESOURCES_ROOT = Path('/somewhere')\n")}

    @staticmethod
    def two_defines(upstream: Upstream, tmp_path: Path) -> dict[str, Any]:
        return {"commit": upstream.commit("new", 'RESOURCES_ROOT_PATH_DEFAULT = "/a"\n' * 2)}

    @staticmethod
    def wrong_sum(upstream: Upstream, tmp_path: Path) -> dict[str, Any]:
        return {"archive": upstream.archive(tmp_path / "a.tar.gz", upstream.new)[0], "sha256": "0" * 64}

    @staticmethod
    def no_archive(upstream: Upstream, tmp_path: Path) -> dict[str, Any]:
        return {"archive": "http://me:secret@127.0.0.1:9/a.tar.gz", "sha256": "0" * 64}

    @staticmethod
    def half_an_archive(upstream: Upstream, tmp_path: Path) -> dict[str, Any]:
        path = Path(upstream.archive(tmp_path / "a.tar.gz", upstream.new)[0])
        os.truncate(path, path.stat().st_size // 2)
        return {"archive": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}

    @staticmethod
    def a_web_page(upstream: Upstream, tmp_path: Path) -> dict[str, Any]:
        (tmp_path / "a.tar.gz").write_text("<html>Sign in")
        return {"archive": str(tmp_path / "a.tar.gz"), "sha256": hashlib.sha256(b"<html>Sign in").hexdigest()}

    @staticmethod
    def something_else(upstream: Upstream, tmp_path: Path) -> dict[str, Any]:
        return archive_of(tmp_path / "a.zip", ("other/readme.txt", b"hello"))

    @staticmethod
    def wandering(upstream: Upstream, tmp_path: Path) -> dict[str, Any]:
        return archive_of(tmp_path / "a.zip", ("hailo_apps/../../../evil.py", b"import os"))


FAULTS: dict[str, str] = {
    "unreachable": "could not be asked: fatal:",
    "nobody_there": "Mend hailo_whisper_hailo_apps_commit or hailo_whisper_hailo_apps_repositories, or give an archive with",
    "no_such_commit": f"has no commit {'0123456789' * 4}. Mend hailo_whisper_hailo_apps_commit",
    "no_repository": "Mend hailo_whisper_hailo_apps_commit or hailo_whisper_hailo_apps_repositories",
    "other_defines": f'has no line RESOURCES_ROOT_PATH_DEFAULT = "..." in {DEFINES}, where one was expected: its resources would lie where nobody looks. '
    "Choose another commit, such as the role's own.",
    "two_defines": "has 2 lines RESOURCES_ROOT_PATH_DEFAULT",
    "wrong_sum": f"and {'0' * 64} was expected. Fetch it again; when you trust what came, set hailo_whisper_hailo_apps_archive_sha256 to its sum.",
    "no_archive": "cannot be fetched: [Errno 111] Connection refused. Mend hailo_whisper_hailo_apps_archive, or give a file on the controller.",
    "half_an_archive": "is no sound .tar.gz or .zip",
    "a_web_page": "is no sound .tar.gz or .zip",
    "something_else": "is not hailo-apps as this program knows it: it has no hailo_apps/installation/download_resources.py.",
    "wandering": "has the file hailo_apps/../../../evil.py, which would lie elsewhere. Do not trust it.",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_goes_wrong_is_said_and_the_tree_stays(
    vendor: Vendor, upstream: Upstream, tree: Path, tmp_path: Path, fault: str
) -> None:
    vendor("place")
    before = shown(tree)
    answer = vendor("place", **getattr(Faults, fault)(upstream, tmp_path))
    assert FAULTS[fault] in answer["error"]
    assert answer["error"].endswith("What was installed before is as it was.")
    assert "secret" not in answer["error"]
    assert shown(tree) == before
    assert [path.name for path in tree.parent.iterdir()] == ["hailo-apps"]
    assert not list(tmp_path.rglob("evil.py"))


@pytest.fixture
def program(project: Path) -> Any:
    """The role's program, as a module."""
    spec = importlib.util.spec_from_file_location("vendor", project / "roles/hailo_apps/files/vendor.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("of https://u:p@ss@host/x.tgz?token=SECRET: 404.", "of https://host/x.tgz: 404."),
        ("'https://TOKEN@host/a@b.git/' is gone", "'https://host/a@b.git/' is gone"),
        ("https://host/x?a=1#SECRET", "https://host/x"),
        ("http://host/x and ssh://git@host/y, who?", "http://host/x and ssh://host/y, who?"),
    ],
)
def test_what_is_secret_of_an_address_is_not_told(program: Any, words: str, told: str) -> None:
    assert program.scrubbed(words) == told


def test_a_password_is_sent_but_never_an_argument(
    vendor: Vendor, upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """git is asked for as ever; what stands in its way here notes the arguments, and a small server what arrives."""
    real = shutil.which("git")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/git").write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/arguments\nexec {real} "$@"\n')
    (tmp_path / "bin/git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    arrived = []

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            arrived.append(self.headers["Authorization"])
            self.send_error(404)

        def log_message(self, *_: Any) -> None:
            """Nothing: the test asserts on what arrived."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://me:p@ss%2Fword@127.0.0.1:{server.server_port}/hailo-apps.git"
        error = vendor("place", repositories=[address])["error"]
        server.shutdown()
    assert {*arrived} == {"Basic " + base64.b64encode(b"me:p@ss/word").decode()}
    arguments = (tmp_path / "arguments").read_text()
    assert f"http://127.0.0.1:{server.server_port}/hailo-apps.git" in arguments
    for secret in ("ss%2Fword", "p@ss", "Basic"):
        assert secret not in arguments
        assert secret not in error


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("sizes", [[300_000], [60_000, 60_000]], ids=["one", "together"])
def test_an_archive_unpacks_to_so_much_and_no_more(
    program: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, sizes: list[int]
) -> None:
    monkeypatch.setattr(program, "LARGEST", 100_000)
    monkeypatch.setattr(program, "CHUNK", 1000)
    path = tmp_path / f"bomb.{kind}"
    members = [(f"hailo_apps/{number}", bytes(size)) for number, size in enumerate(sizes)]
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
            for name, data in members:
                opened.writestr(name, data)
    else:
        with tarfile.open(path, "w:gz") as packed:
            for name, data in members:
                member = tarfile.TarInfo(name)
                member.size = len(data)
                packed.addfile(member, io.BytesIO(data))
    with pytest.raises(program.Refused, match="It unpacks to more than hailo-apps can be"):
        program.unpack(path, tmp_path / "unpacked", "It")
    assert sum(file.stat().st_size for file in (tmp_path / "unpacked").rglob("*") if file.is_file()) <= 100_000


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


@pytest.fixture
def role(project: Path, tmp_path: Path, upstream: Upstream) -> Role:
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
        command = [
            "ansible-playbook",
            "--inventory=this-machine,",
            "--connection=local",
            "--diff",
            str(tmp_path / "play.yml"),
            *arguments,
        ]
        return subprocess.run(
            [*command, "--extra-vars", f"@{tmp_path / 'variables.json'}"],
            cwd=project,
            env=os.environ
            | {"ANSIBLE_ROLES_PATH": str(project / "roles"), "ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "ANSIBLE_NOCOLOR": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def changed(done: "subprocess.CompletedProcess[str]") -> int:
    assert done.returncode == 0, done.stdout + done.stderr
    return int(done.stdout.rpartition("changed=")[2].split()[0])


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

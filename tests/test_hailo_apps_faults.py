"""What can go wrong when the program of the role `hailo_apps` fetches it: it is said, without passwords, and nothing is lost."""

import base64
import hashlib
import io
import os
import shutil
import tarfile
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from loading import loaded
from upstream import DEFINES, PROGRAM, Upstream, Vendor, asking, shown


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    return Upstream(tmp_path)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return tmp_path / "vendor" / "hailo-apps"


@pytest.fixture
def vendor(tree: Path, upstream: Upstream) -> Vendor:
    return asking(tree, upstream)


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
def program() -> Any:
    """The role's program, as a module."""
    return loaded(PROGRAM)


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

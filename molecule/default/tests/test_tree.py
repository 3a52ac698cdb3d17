"""The roles make the very tree that the Debian package brings, file by file, but for what is said here."""

import gzip
import hashlib
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import testinfra

from service import PROJECT

# The package of that release is built anyway; the other one is made from the same source.
MACHINE = "podman://hailo-whisper-debian12"

SITE = r"opt/hailo-whisper/venv/lib/python3\.11/site-packages"
DIFFERS = [
    # The package has its modules compiled in the build; pip compiles them on the host.
    r".*/__pycache__(/.*)?",
    # pip installs on the host, and stays there for the next version; the package is installed by uv, which does not.
    rf"{SITE}/pip(-[^/]+)?(/.*)?|{SITE}/setuptools(-[^/]+)?(/.*)?|{SITE}/(pkg_resources|_distutils_hack|distutils-precedence\.pth)(/.*)?",
    # Who installed a project, what it placed, and where it came from.
    rf"{SITE}/[^/]+\.dist-info/(INSTALLER|RECORD|REQUESTED|direct_url\.json)",
    # What the maker of the environment puts into it for shells, and its note of how it was made.
    r"opt/hailo-whisper/venv/(bin/([Aa]ctivate.*|python.*|pip.*)|include(/.*)?|lib64|pyvenv\.cfg)",
]
# They are the same but for their first line, which finds the Python beside them in another way.
SCRIPTS = r"opt/hailo-whisper/venv/bin/.*"
LISTED = (
    "cd / && find opt/hailo-whisper usr/bin/hailo-whisper usr/lib/hailo-whisper usr/lib/systemd/system/hailo-whisper*"
    " usr/lib/sysusers.d/hailo-whisper* usr/lib/tmpfiles.d/hailo-whisper* usr/share/man/man?/hailo-whisper* usr/share/bash-completion/completions/hailo-whisper"
)


def comparable(tree: dict[str, str]) -> dict[str, str]:
    kept = {path: what for path, what in tree.items() if not any(re.fullmatch(pattern, path) for pattern in DIFFERS)}
    return {path: "a script" if re.fullmatch(SCRIPTS, path) else what for path, what in kept.items()}


@pytest.fixture
def packaged(tmp_path: Path) -> dict[str, str]:
    done = subprocess.run(
        [PROJECT / "script/build-deb", "--suite", "bookworm", "--quick"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (package,) = Path(done.stdout.splitlines()[-1]).glob("hailo-whisper_*.deb")
    subprocess.run(["dpkg-deb", "--extract", package, tmp_path], check=True)
    tree = {}
    for path in tmp_path.rglob("*"):
        name = str(path.relative_to(tmp_path))
        if name.startswith(("usr/share/doc/", "usr/share/lintian/", "etc/")) or (path.is_dir() and not path.is_symlink()):
            continue
        # Since Debian 12, /lib is a link to /usr/lib on every machine.
        name = re.sub("^lib/", "usr/lib/", name)
        if path.is_symlink():
            tree[name] = f"-> {path.readlink()}"
        elif name.startswith("usr/share/man/"):
            tree[name.removesuffix(".gz")] = hashlib.sha256(gzip.decompress(path.read_bytes())).hexdigest()
        else:
            tree[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return tree


@pytest.fixture
def deployed() -> Callable[[], dict[str, str]]:
    host = testinfra.get_host(MACHINE)

    def listed() -> dict[str, str]:
        files = host.check_output(f"{LISTED} -type f -print0 | xargs -0 sha256sum")
        links = host.check_output(f"{LISTED} -type l -printf '%l %p\\n'")
        tree = {line[66:]: line[:64] for line in files.splitlines()}
        return tree | {line.split()[1]: f"-> {line.split()[0]}" for line in links.splitlines()}

    return listed


def test_the_roles_and_the_package_make_the_same_tree(deployed: Callable[[], dict[str, str]], packaged: dict[str, str]) -> None:
    roles, package = comparable(deployed()), comparable(packaged)
    assert len(package) > 2000
    assert sorted(roles.keys() - package.keys()) == [], "only the roles make these"
    assert sorted(package.keys() - roles.keys()) == [], "only the package brings these"
    assert {path for path in package if roles[path] != package[path]} == set()

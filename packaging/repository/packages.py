"""Packages: what a .deb says of itself, which releases of Debian it is for, and how many versions of it are kept."""

import functools
import hashlib
import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from . import Refused

SUITES = ("bookworm", "trixie")
ARCHITECTURES = ("amd64", "arm64")
# What the version of a build for one release has in it.
MARKS = {"+deb12u": "bookworm", "+deb13u": "trixie"}


@dataclass(frozen=True)
class Package:
    """A .deb in one suite."""

    suite: str
    name: str
    version: str
    arch: str
    sha256: str
    path: Path

    def __str__(self) -> str:
        return f"{self.name} {self.version} {self.arch} ({self.suite})"


def gathered(folder: Path, suite: str = "") -> list[Package]:
    """The packages of a folder. Raises Refused when there are none, and for a file that is no whole package.

    Without a suite, each is for the release that its version names; one that names none, such as a package of a model, is for all.
    """
    if not folder.is_dir():
        raise Refused(f"there is no folder {folder}. Name a folder with .deb files.")
    paths = sorted(folder.glob("*.deb"))
    if not paths:
        raise Refused(
            f"there are no packages in {folder}: no file there ends in .deb. `script/build-deb --output {folder}` makes some."
        )
    return [package for path in paths for package in _read(path, suite)]


def _read(path: Path, suite: str) -> list[Package]:
    # All of it is unpacked, into nothing: the field alone would be found in a file that was cut off as well.
    unpacking = subprocess.run(
        ["dpkg-deb", "--fsys-tarfile", path], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False
    )
    said = unpacking.stderr.decode(errors="replace").strip()
    if unpacking.returncode:
        raise Refused(
            f"{path} is not a whole package ({said.splitlines()[-1] if said else 'dpkg-deb gives no reason'}). Fetch or build it again."
        )
    shown = subprocess.run(
        ["dpkg-deb", "--show", "--showformat=${Package}\n${Version}\n${Architecture}", path],
        capture_output=True,
        text=True,
        check=True,
    )
    name, version, arch = shown.stdout.splitlines()
    if arch not in (*ARCHITECTURES, "all"):
        raise Refused(
            f"{path} is for {arch}, and the repository has {' and '.join(ARCHITECTURES)}. Take it out of {path.parent}."
        )
    marked = next((of for mark, of in MARKS.items() if mark in version), "")
    if suite and marked and suite != marked:
        raise Refused(f"{path} is for {marked} by its version, and you put it into {suite}. Name it without a suite.")
    sha256 = sum_of(path)
    return [Package(of, name, version, arch, sha256, path) for of in ([suite or marked] if suite or marked else SUITES)]


def sum_of(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def joined(there: Iterable[Package], new: Iterable[Package]) -> list[Package]:
    """Both, each once. Raises Refused for two packages of one version that are not the same."""
    known: dict[tuple[str, str, str], Package] = {}
    together: dict[tuple[str, str, str, str], Package] = {}
    for package in [*there, *new]:
        first = known.setdefault((package.name, package.version, package.arch), package)
        if first.sha256 != package.sha256:
            raise Refused(
                f"{package.name} {package.version} {package.arch} is there twice, with different content: {first.path} and {package.path}. A machine that "
                "has the one would never get the other. Give what you changed a version of its own (the first line of packaging/debian/changelog, and "
                "__version__ in app/src/hailo_whisper/__init__.py), or begin a new folder."
            )
        together.setdefault((package.suite, package.name, package.version, package.arch), package)
    return list(together.values())


def newest(packages: Iterable[Package], keep: int) -> list[Package]:
    """The last versions of each package, as many as are to be kept, in each suite and for each architecture."""

    def kind(package: Package) -> tuple[str, str, str]:
        return package.suite, package.name, package.arch

    kept: list[Package] = []
    for _, versions in groupby(sorted(packages, key=kind), kind):
        kept += _by_version(list(versions))[:keep]
    return kept


def _by_version(packages: Sequence[Package]) -> list[Package]:
    """The newest first, by Debian's order."""

    def older(one: Package, other: Package) -> int:
        if one.version == other.version:
            return 0
        return (
            1
            if subprocess.run(["dpkg", "--compare-versions", one.version, "lt", other.version], check=False).returncode == 0
            else -1
        )

    return sorted(packages, key=functools.cmp_to_key(older))


def listed(index: str, suite: str, repository: Path) -> list[Package]:
    """The packages that an index names, which lie in that repository."""
    found = []
    for paragraph in index.strip().split("\n\n") if index.strip() else []:
        fields = dict(re.findall(r"^([A-Za-z0-9-]+): (.*)$", paragraph, re.MULTILINE))
        path = repository / fields["Filename"]
        found.append(Package(suite, fields["Package"], fields["Version"], fields["Architecture"], fields["SHA256"], path))
    return found

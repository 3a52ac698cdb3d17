"""The folder of the repository: what is in it already, and the exchange of its files under those who read them."""

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from . import Refused, key
from .packages import SUITES, Package, listed, sum_of

PUBLIC = "hailo-whisper.asc"


def held(folder: Path) -> list[Package]:
    """The packages of the repository in that folder; none if there is no repository.

    Raises Refused for what is not as it was signed: it would be signed again.
    """
    packages: list[Package] = []
    for suite in SUITES:
        release = folder / "dists" / suite / "InRelease"
        if not release.exists():
            continue
        signed = key.verified(release, folder / PUBLIC).split("SHA256:\n", 1)[-1]
        for sha256, name in re.findall(r"^ ([0-9a-f]{64}) +[0-9]+ (main/binary-[a-z0-9]+/Packages)$", signed, re.MULTILINE):
            index = release.parent / name
            if not index.exists() or sum_of(index) != sha256:
                raise Refused(f"{index} is not what was signed. Put back what was there, or begin a new folder.")
            packages += listed(index.read_text(encoding="utf-8"), suite, folder)
    once = {(package.suite, package.path): package for package in packages}
    for path, sha256 in {package.path: package.sha256 for package in once.values()}.items():
        if not path.exists() or sum_of(path) != sha256:
            raise Refused(f"{path} is missing, or not what was signed. Put back what was there, or begin a new folder.")
    return list(once.values())


def sources(url: str, suite: str, public: str) -> str:
    """What apt is to have in /etc/apt/sources.list.d, with the key in it."""
    lines = "".join(f" {line or '.'}\n" for line in public.strip().splitlines())
    return f"# The packages of hailo-whisper, for Debian's {suite}.\nTypes: deb\nURIs: {url}\nSuites: {suite}\nComponents: main\nSigned-By:\n{lines}"


def address(folder: Path) -> str:
    """The address that the repository had the last time; nothing when there was none."""
    for path in sorted(folder.glob("hailo-whisper-*.sources")):
        if found := re.search(r"^URIs: (\S+)$", path.read_text(encoding="utf-8"), re.MULTILINE):
            return found[1]
    return ""


def write(path: Path, text: str) -> None:
    """Write a file that others read, in one step."""
    new = path.with_name(f".{path.name}")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def exchange(made: Path, folder: Path, suites: Sequence[str]) -> None:
    """Put what was made into the folder, so that whoever reads it meanwhile finds what they need.

    First the packages, then the indices, under the names of their sums too, and the signed files that name those sums last; then what nobody needs any
    more goes: all but the indices of before, which somebody may just be going to fetch.
    """
    _move(made / "pool", folder / "pool")
    for suite in suites:
        new, place = made / "dists" / suite, folder / "dists" / suite
        before = {path.read_bytes() for path in place.glob("main/*/[PR]*")}
        _move(new / "main", place / "main")
        for name in ("Release", "Release.gpg", "InRelease"):
            (new / name).replace(place / name)
        for path in place.glob("main/*/by-hash/*/*"):
            if not (new / path.relative_to(place)).exists() and path.read_bytes() not in before:
                path.unlink()
    for path in sorted((folder / "pool").rglob("*"), reverse=True):
        if not (made / path.relative_to(folder)).exists():
            path.rmdir() if path.is_dir() else path.unlink()


def _move(new: Path, place: Path) -> None:
    """Have the files of a tree at their places in another, each in one step."""
    for path in sorted(new.rglob("*")):
        target = place / path.relative_to(new)
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        # What aptly links to is its own note of the generations.
        elif not path.is_symlink() and not (target.exists() and path.suffix == ".deb"):
            beside = target.with_name(f".{target.name}")
            beside.unlink(missing_ok=True)
            # A package is large; the indices that aptly has under several names become files of their own, for not every tool copies links well.
            (os.link if path.suffix == ".deb" else shutil.copyfile)(path, beside)
            beside.replace(target)

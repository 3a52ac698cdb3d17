"""The folder of the repository: what is in it already, and the exchange of its files under those who read them."""

import filecmp
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from . import Refused, key
from .packages import SUITES, Package, listed, sum_of

PUBLIC = "hailo-whisper.asc"


def held(folder: Path, own: str) -> tuple[list[Package], bool]:
    """The packages of the repository in that folder, none if there is no repository, and whether its files are all of one exchange.

    Whom the operator signs as now, by the public key `own`, is trusted too: where a first run or a change of the key was cut off, that key is not written down yet.

    Raises Refused for what is not as it was signed: it would be signed again.
    """
    packages: list[Package] = []
    whole = True
    for suite in SUITES:
        release = folder / "dists" / suite / "InRelease"
        if not release.exists():
            continue
        signed = key.verified(release, folder / PUBLIC, own)
        plain = release.with_name("Release")
        whole = whole and plain.exists() and plain.read_text(encoding="utf-8").strip() == signed.strip()
        for sha256, name in re.findall(
            r"^ ([0-9a-f]{64}) +[0-9]+ (main/binary-\S+)$", signed.split("SHA256:\n", 1)[-1], re.MULTILINE
        ):
            index = release.parent / name
            whole = whole and index.exists() and sum_of(index) == sha256
            if index.name == "Packages":
                packages += listed(_signed(index, sha256), suite, folder)
    once = {(package.suite, package.path): package for package in packages}
    for path, sha256 in {package.path: package.sha256 for package in once.values()}.items():
        if not path.exists() or sum_of(path) != sha256:
            raise Refused(f"{path} is missing, or not what was signed. Put back what was there, or begin a new folder.")
    return list(once.values()), whole


def _signed(index: Path, sha256: str) -> str:
    """What an index said when it was signed. An exchange that was cut off leaves the next one at its place, and this one under the name of its sum."""
    for path in (index, index.parent / "by-hash/SHA256" / sha256):
        if path.exists() and sum_of(path) == sha256:
            return path.read_text(encoding="utf-8")
    raise Refused(f"{index} is not what was signed. Put back what was there, or begin a new folder.")


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
    more goes: all but the indices of before, which somebody may just be going to fetch. Wherever it is cut off, what is signed is there.
    """
    _move(made / "pool", folder / "pool")
    for suite in suites:
        new, place = made / "dists" / suite, folder / "dists" / suite
        signed = place / "InRelease"
        # By what was signed, for at the places of the indices may be those of an exchange that was cut off.
        before = re.findall(r"^ ([0-9a-f]{32,}) ", signed.read_text(encoding="utf-8"), re.MULTILINE) if signed.exists() else []
        _move(new / "main", place / "main")
        for name in ("Release", "Release.gpg", "InRelease"):
            _written(new / name)
            (new / name).replace(place / name)
        for path in place.glob("main/*/by-hash/*/*"):
            if not (new / path.relative_to(place)).exists() and path.name not in before:
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
        # What aptly links to is its own note of the generations. A package that is there may be one that nobody has signed, of an exchange that was cut off.
        elif not path.is_symlink() and not (
            target.exists() and path.suffix == ".deb" and filecmp.cmp(path, target, shallow=False)
        ):
            beside = target.with_name(f".{target.name}")
            beside.unlink(missing_ok=True)
            # A package is large; the indices that aptly has under several names become files of their own, for not every tool copies links well.
            (os.link if path.suffix == ".deb" else shutil.copyfile)(path, beside)
            _written(beside)
            beside.replace(target)


def _written(path: Path) -> None:
    """Have a file on the disk, so that no power cut leaves the name without the content."""
    with path.open("rb") as file:
        os.fsync(file.fileno())

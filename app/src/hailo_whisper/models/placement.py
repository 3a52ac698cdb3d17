"""Putting a model in its place: a lock, a folder to fill, and one rename. What is half done never looks installed."""

import fcntl
import grp
import os
import pwd
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..failure import Failure
from ..installation import in_image
from .cure import pulling

GROUP = "hailo-whisper"
FOLDER_MODE, FILE_MODE = 0o750, 0o640
PARTIAL, LOCK = ".partial", ".lock"
FILES, WORK, REPLACED = "files", "work", "replaced"
LOCK_SECONDS = 1800.0
# So long is kept what an interrupted pull had fetched, for the next one to go on with.
KEPT_SECONDS = 7 * 86400.0
# What a file system needs beside the bytes themselves.
SPARE_BYTES = 16_000_000


class PlacementFailed(Failure):
    """The store cannot be written: permission, space or another pull. The message says what to do."""


@contextmanager
def writing(root: Path) -> Iterator[None]:
    """Turn the errors of an unwritable store into a sentence."""
    try:
        yield
    except OSError as error:
        cure = "Run the command as root (sudo), or choose another folder with --dest."
        if in_image():
            cure = f"In a container, {pulling(root=root)}."
        raise PlacementFailed(f"{root} cannot be written by {_user()}: {error.strerror or error}. {cure}") from error


def require_space(root: Path, needed: int) -> None:
    """Raise PlacementFailed unless that many bytes (and a little more) are free where the store is or will be."""
    with writing(root):
        existing = next(folder for folder in (root, *root.absolute().parents) if folder.exists())
        free = shutil.disk_usage(existing).free
    if free < needed + SPARE_BYTES:
        raise PlacementFailed(
            f"{(needed + SPARE_BYTES) / 1e6:.0f} MB are needed in {root} and {free / 1e6:.0f} MB are free. "
            "Free some space, or choose another folder with --dest."
        )


@contextmanager
def locked(root: Path, notify: Callable[[str], None], seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Hold the store for one pull. Makes the store's folder. Raises PlacementFailed when another holds it for too long.

    The kernel lets go when the holder dies, however it dies, so a stale lock cannot exist.
    """
    with writing(root):
        if not root.exists():
            root.mkdir(parents=True)
            adopt(root)
        lock = os.open(root / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
    try:
        _wait_for(lock, root, notify, seconds)
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        with writing(root):
            adopt(root / LOCK)
            sweep(root)
        yield
    finally:
        os.close(lock)


def _wait_for(lock: int, root: Path, notify: Callable[[str], None], seconds: float) -> None:
    deadline, said = time.monotonic() + seconds, False
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            holder = os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"
        if time.monotonic() >= deadline:
            raise PlacementFailed(
                f"Another pull (process {holder}) has held {root / LOCK} for {seconds:.0f} seconds. "
                "Wait for it or stop it, then run this command again."
            )
        if not said:
            notify(f"another pull (process {holder}) is at work in {root}: waiting for it")
            said = True
        time.sleep(0.2)


def sweep(root: Path) -> None:
    """Remove what interrupted pulls left, but for what the next one can still go on with. Only for the holder of the lock."""
    partial = root / PARTIAL
    if partial.is_symlink() or partial.is_file():
        partial.unlink()
    if not partial.exists():
        return
    for folder in partial.iterdir():
        if folder.is_symlink() or not folder.is_dir():
            folder.unlink()
            continue
        shutil.rmtree(folder / FILES, ignore_errors=True)
        shutil.rmtree(folder / REPLACED, ignore_errors=True)
        times = [path.lstat().st_mtime for path in (folder / WORK).rglob("*") if path.is_file()]
        if not times or time.time() - max(times) > KEPT_SECONDS:
            shutil.rmtree(folder)
    if not any(partial.iterdir()):
        partial.rmdir()


class Staging:
    """A folder in the store's own file system: `files` becomes the model, `work` is scratch space. A context manager.

    What is left in `work` outlives the pull, until one has placed the model or for a week.
    """

    def __init__(self, root: Path, name: str) -> None:
        self._root, self._name = root, name
        self._folder = root / PARTIAL / name

    def __enter__(self) -> "Staging":
        with writing(self._root):
            self._folder.parent.mkdir(mode=0o700, exist_ok=True)
            if self._folder.is_symlink():
                self._folder.unlink()
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self.work.mkdir(exist_ok=True)
            self.clear()
        return self

    def __exit__(self, *_: object) -> None:
        sweep(self._root)

    @property
    def files(self) -> Path:
        """Where a source writes."""
        return self._folder / FILES

    @property
    def work(self) -> Path:
        """Where a source may keep what it needs on the way, and find what was left there."""
        return self._folder / WORK

    @property
    def kept(self) -> int:
        """The bytes that lie in `work`."""
        return sum(path.lstat().st_size for path in self.work.rglob("*") if path.is_file())

    def clear(self) -> None:
        """Start with no files, as after a source that failed half-way."""
        shutil.rmtree(self.files, ignore_errors=True)
        self.files.mkdir()

    def forget(self) -> None:
        """Keep nothing: what lies there is of no use, or takes the last room on the disk."""
        self.clear()
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir()

    def place(self) -> Path:
        """Make the files durable, give them their owner and mode, and rename them into place. Returns the place."""
        place = self._root / self._name
        with writing(self._root):
            for path in self.files.iterdir():
                adopt(path)
                _sync(path)
            adopt(self.files)
            _sync(self.files)
            if os.path.lexists(place):
                place.rename(self._folder / REPLACED)
            self.files.rename(place)
            _sync(self._root)
            shutil.rmtree(self.work, ignore_errors=True)
        return place


def adopt(path: Path, pretend: bool = False) -> bool:
    """Give a file or folder of the store its owner and mode, as far as this user may. Returns whether that changed anything.

    Root gives it to the service's group when there is one: the service reads models and never writes them. With `pretend`
    nothing is changed, only compared. A link into another program's cache stays that program's.
    """
    if path.is_symlink():
        return False
    status = path.stat()
    if os.geteuid() not in (0, status.st_uid):
        return False
    mode = FOLDER_MODE if path.is_dir() else FILE_MODE
    owner = (0, _group(status.st_gid)) if os.geteuid() == 0 else (status.st_uid, status.st_gid)
    if (status.st_uid, status.st_gid) == owner and stat.S_IMODE(status.st_mode) == mode:
        return False
    if not pretend:
        os.chown(path, *owner)
        path.chmod(mode)
    return True


def _user() -> str:
    try:
        return f"the user {pwd.getpwuid(os.geteuid()).pw_name}"
    except KeyError:
        return f"the user number {os.geteuid()}"


def _group(otherwise: int) -> int:
    try:
        return grp.getgrnam(GROUP).gr_gid
    except KeyError:
        return otherwise


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Writing the key file: a key more or one less, and all else in it stays as it was."""

import contextlib
import fcntl
import grp
import os
import re
import secrets
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ..failure import Failure
from . import file
from .file import HASHED, NAME, Key, KeysMissing, KeysUnusable

GROUP = "hailo-whisper"
FIRST = "default"
PATIENCE = 10.0
"""Seconds to wait for another who writes keys."""
HEADER = """\
# The API keys of hailo-whisper, one a line: name:key, or name:sha256: and the key's sum. `hailo-whisper keys` adds, lists and removes
# them. A change holds at once.
"""


class KeyRefused(Failure):
    """A key cannot be added or removed. The message says why, and what to do."""


def generate() -> str:
    """A new key: 32 random bytes, in the alphabet of addresses."""
    return f"sk-{secrets.token_urlsafe(32)}"


def names(path: Path) -> list[Key]:
    """The keys in the file. Raises KeysUnusable."""
    return file.parse(file.contents(path), path)


def add(path: Path, name: str, *, plain: bool = False) -> str:
    """Make a key, put its sum into the file, or with `plain` the key itself, and return it. Raises Failure."""
    if not re.fullmatch(NAME, name):
        raise KeyRefused(f"{name!r} cannot be a key's name. Use letters, digits, `.`, `_` and `-`, at most 64 of them.")
    with _locked(path) as place:
        text = _text(place)
        if any(known.name == name for known in file.parse(text, place)):
            raise KeyRefused(f"{place} has a key {name} already. Choose another name, or remove that one first.")
        key = generate()
        kept = key if plain else HASHED + file.digest(key).hex()
        # The last line of a file that was written by hand may lack its end.
        gap = b"" if not text or text.endswith(b"\n") else b"\n"
        _write(place, text + gap + f"{name}:{kept}\n".encode())
    return key


def remove(path: Path, name: str) -> int:
    """Take the key of that name out of the file; gives how many are left. Raises Failure."""
    with _locked(path) as place:
        text = file.contents(place)
        known = [key.name for key in file.parse(text, place)]
        if name not in known:
            raise KeyRefused(f"{place} has no key {name}. It has: {', '.join(known) or 'none'}.")
        wanted = [
            line for line in text.split(b"\n") if line.removeprefix(b"\xef\xbb\xbf").split(b":")[0].strip() != name.encode()
        ]
        _write(place, b"\n".join(wanted))
    return len(known) - 1


def missing(path: Path) -> bool:
    """Whether the file is not there, or has no key in it. Raises KeysUnusable when it is there and cannot be used."""
    try:
        return not names(path)
    except KeysMissing:
        return True


def _text(path: Path) -> bytes:
    try:
        return file.contents(path)
    except KeysMissing:
        return HEADER.encode()


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[Path]:
    """Hold the file for one change of it. Gives where it really is: a link to it stays one."""
    place = path.resolve()
    try:
        place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        folder = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # Of the folder, because the file itself is replaced.
            _lock(folder, place)
            yield place
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise KeyRefused(f"{place} cannot be written: {error.strerror}. Run this as root, with room on the disk.") from None


def _lock(folder: int, place: Path) -> None:
    """Wait a while, and not for ever: whoever may look into the folder may hold its lock."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > end:
                raise KeyRefused(
                    f"Another process has held {place.parent} for {PATIENCE:g} s. `fuser {place.parent}` tells which: let it end, "
                    "and run this again."
                ) from None
        time.sleep(0.1)


def _write(path: Path, text: bytes) -> None:
    """Put the text in place at once and whole, with the owner and mode that the file has."""
    if len(text) > file.LARGEST:
        raise KeysUnusable(f"{path} would have more than {file.LARGEST // 1024} KiB. Remove keys from it.")
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(text)
            stream.flush()
            owner, group, mode = _ownership(path)
            if (owner, group) != (os.geteuid(), os.getegid()):
                os.fchown(stream.fileno(), owner, group)
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _ownership(path: Path) -> tuple[int, int, int]:
    """Owner, group and mode: those of the file, or for a new one of root those with which the service can read it."""
    with contextlib.suppress(FileNotFoundError):
        status = path.stat()
        return status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)
    with contextlib.suppress(KeyError):
        if os.geteuid() == 0:
            return 0, grp.getgrnam(GROUP).gr_gid, 0o640
    return os.geteuid(), os.getegid(), 0o600

"""The file of the API keys: a line `name:key` or `name:sha256:HEX` each, comments and empty lines between them.

No message has anything of a line in it but its number: it goes into the journal, and to clients.
"""

import hashlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from ..failure import Failure

DEFAULT = Path("/etc/hailo/hailo-whisper.keys")
# Whoever makes keys by the thousand has another place for them; every request is compared with all of them.
LARGEST = 256 * 1024
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
HASHED = "sha256:"
LONGEST = 1024
"""Characters of a key."""
FORM = "a line is `name:key` or `name:sha256:` and 64 hexadecimal digits"


class KeysUnusable(Failure):
    """The key file is missing, readable by strangers, malformed or empty, so that no key is known. The message has the cure."""


class KeysMissing(KeysUnusable):
    """There is no key file."""


@dataclass(frozen=True)
class Key:
    """One key, of which only the sum is kept."""

    name: str
    digest: bytes
    """Its SHA-256. That is enough for a random key of 32 bytes, which nobody finds by trying."""
    hashed: bool = True
    """Whether the file has no more than the sum."""


@dataclass(frozen=True)
class Stamp:
    """What tells that a file is still the one that was read."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int
    mode: int


def digest(key: str) -> bytes:
    """SHA-256 of a key."""
    return hashlib.sha256(key.encode()).digest()


def read(path: Path, known: Stamp | None = None) -> tuple[Stamp, list[Key]] | None:
    """The keys in the file, or None when it is still the one with the stamp `known`. Raises KeysUnusable.

    The file is looked at and read through one descriptor, so that nobody can put another in its place between the two.
    """
    stamp, data = _contents(path, known)
    if data is None:
        return None
    keys = parse(data, path)
    if not keys:
        raise KeysUnusable(f"The key file {path} holds no key. Run `hailo-whisper keys add NAME` to add one.")
    return stamp, keys


def contents(path: Path) -> bytes:
    """What the file holds, if it is one that keys may be kept in. Raises KeysUnusable."""
    return _contents(path, None)[1] or b""


def _contents(path: Path, known: Stamp | None) -> tuple[Stamp, bytes | None]:
    try:
        # O_NONBLOCK: a pipe that somebody put there is not waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise KeysMissing(f"There is no key file {path}. Run `hailo-whisper keys add NAME` to make it.") from None
    except OSError as error:
        raise KeysUnusable(
            f"The key file {path} cannot be read by this user: {error.strerror}. Root can, and the service can when the file belongs to "
            "root and the service's group, with mode 0640."
        ) from None
    try:
        stamp = _stamp(path, os.fstat(descriptor))
        return stamp, None if stamp == known else os.read(descriptor, LARGEST)
    except OSError as error:
        raise KeysUnusable(f"The key file {path} cannot be read: {error.strerror}. Check its disk.") from None
    finally:
        os.close(descriptor)


def _stamp(path: Path, status: os.stat_result) -> Stamp:
    """What the file is known by again. Raises KeysUnusable when no keys may be kept in it."""
    if not stat.S_ISREG(status.st_mode):
        raise KeysUnusable(f"The key file {path} is no regular file. Put a file there, or set access.keys to another.")
    if status.st_mode & stat.S_IRWXO:
        raise KeysUnusable(
            f"The key file {path} is open to every user of the machine. Run `chmod o= {path}`, "
            "and replace its keys if strangers may have read them."
        )
    if status.st_size > LARGEST:
        raise KeysUnusable(f"The key file {path} has more than {LARGEST // 1024} KiB. Is it the right one? Remove keys from it.")
    times = status.st_mtime_ns, status.st_ctime_ns
    return Stamp(status.st_dev, status.st_ino, status.st_size, *times, stat.S_IMODE(status.st_mode))


def parse(data: bytes, path: Path) -> list[Key]:
    """The keys in the text of a key file; `path` names it in the messages. Raises KeysUnusable."""
    keys: list[Key] = []
    lines: dict[str | bytes, int] = {}
    # Only what ends a line in an editor: other breaks of Unicode would make the numbers wrong.
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        key = _key(line.strip(), f"Line {number} of the key file {path}")
        if key is None:
            continue
        for value, what in ((key.name, "name"), (key.digest, "key")):
            if value in lines:
                raise KeysUnusable(
                    f"Lines {lines[value]} and {number} of the key file {path} have the same {what}. Remove one of them."
                )
            lines[value] = number
        keys.append(key)
    return keys


def _key(line: bytes, place: str) -> Key | None:
    if not line or line.startswith(b"#"):
        return None
    if not line.isascii() or not line.decode().isprintable():
        raise KeysUnusable(f"{place} has a character that no key has. Use plain letters, digits and signs.")
    name, colon, key = (part.strip() for part in line.decode().partition(":"))
    if not colon or not key:
        raise KeysUnusable(f"{place} has no key: {FORM}.")
    if not re.fullmatch(NAME, name):
        raise KeysUnusable(f"{place} has no name that can be used: letters, digits, `.`, `_` and `-`, at most 64 of them.")
    if " " in key:
        raise KeysUnusable(f"{place} has a space in its key. Comments have lines of their own, which begin with #.")
    # In any case of letters: were it taken for a key, the sum itself would open the door.
    kind, digits = key[: len(HASHED)].lower(), key[len(HASHED) :]
    if kind != HASHED and len(key) > LONGEST:
        raise KeysUnusable(f"{place} has a key of more than {LONGEST} characters. Take a shorter one.")
    if kind != HASHED:
        return Key(name, digest(key), hashed=False)
    if not re.fullmatch(r"[0-9A-Fa-f]{64}", digits):
        raise KeysUnusable(f"{place} has a sum that is none: {FORM}.")
    return Key(name, bytes.fromhex(digits))

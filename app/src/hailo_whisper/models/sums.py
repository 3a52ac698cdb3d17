"""Sizes and sha256 sums of files."""

import hashlib
from pathlib import Path

from .catalog import File

CHUNK = 1 << 20


def sha256(path: Path) -> str:
    """The sha256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def difference(path: Path, expected: File) -> str | None:
    """How the file differs from what it must be, as half a sentence that starts with its name; None when it does not."""
    size = path.stat().st_size
    if size != expected.size:
        return f"{path.name} has {size} of {expected.size} bytes"
    actual = sha256(path)
    if actual != expected.sha256:
        return f"the sha256 of {path.name} is {actual} and must be {expected.sha256}"
    return None

"""Sizes and sha256 sums of files."""

import hashlib
from pathlib import Path

from .catalog import File

CHUNK = 1 << 20


def sha256(path: Path) -> str:
    """The sha256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def seen(path: Path) -> File:
    """The size and the sum that a file has. Raises pydantic's ValidationError for an empty one, which no model has."""
    return File(size=path.stat().st_size, sha256=sha256(path))


def difference(path: Path, expected: File) -> str | None:
    """How the file differs from what it must be, as half a sentence that starts with its name; None when it does not.

    What nobody knows (a size, a sum) is not compared, but no file of a model is empty.
    """
    size = path.stat().st_size
    if size == 0:
        return f"{path.name} is empty"
    if expected.size is not None and size != expected.size:
        return f"{path.name} has {size} of {expected.size} bytes"
    if expected.sha256 is None:
        return None
    actual = sha256(path)
    if actual != expected.sha256:
        return f"the sha256 of {path.name} is {actual} and must be {expected.sha256}"
    return None

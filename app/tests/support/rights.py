"""Folders that may not be read, also where the tests are root's."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

NOBODY = 65534


@contextlib.contextmanager
def unprivileged(folder: Path) -> Iterator[None]:
    """A folder that this process may not look into; as root it is somebody else meanwhile."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0)
    was = os.geteuid()
    if was == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(was)
        folder.chmod(0o700)

"""Whether a file can be what its name says: all that can be asked of one whose sum nobody knows, before it is pinned."""

import json
from collections.abc import Sequence
from pathlib import Path

from .. import hef

# What files of a kind begin with, by the ending of their names.
BEGINNINGS = {
    ".npy": b"\x93NUMPY",
    ".pth": b"PK",
    ".pt": b"PK",
}
# A configuration or a vocabulary is smaller than this; nothing larger is read into memory.
LARGEST_JSON = 100_000_000


def doubt(path: Path, architectures: Sequence[str] = ()) -> str | None:
    """Why the file cannot be what its name says, as a clause; None when nothing speaks against it.

    `architectures` are those that a HEF may be made for, where that is known.
    """
    if path.suffix == ".hef":
        return _doubt_of_hef(path, architectures)
    beginning = BEGINNINGS.get(path.suffix)
    if beginning is not None:
        with path.open("rb") as stream:
            begins = stream.read(len(beginning))
        return None if begins == beginning else f"{path.name} is no {path.suffix[1:].upper()} file: it does not begin like one"
    if path.suffix == ".json":
        return None if _is_json(path) else f"{path.name} is not JSON"
    return None


def _doubt_of_hef(path: Path, architectures: Sequence[str]) -> str | None:
    try:
        found = hef.read(path)
    except hef.HefNewer:
        # It is for a newer HailoRT, which can tell; the engine says to update this program.
        return None
    except hef.HefUnsound as fault:
        return f"{path.name} {fault}"
    if architectures and found.architecture not in architectures:
        return f"{path.name} was made for {found.architecture} and not for {' or '.join(architectures)}"
    return None


def _is_json(path: Path) -> bool:
    if path.stat().st_size > LARGEST_JSON:
        return False
    try:
        json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return False
    return True

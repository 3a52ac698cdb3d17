"""Files of the kernel and of the system, read so that one that is missing or hidden is no trouble."""

from contextlib import suppress
from pathlib import Path

LARGEST = 1 << 20


def text(path: Path) -> str | None:
    """The stripped text of a small file; None when it cannot be read."""
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            return stream.read(LARGEST).strip()
    except OSError:
        return None


def code(path: Path) -> bytes:
    """What a library or program is made for: the class and the processor that ELF's header names; nothing for a file that has none, or cannot be read."""
    try:
        with path.open("rb") as stream:
            header = stream.read(20)
    except OSError:
        return b""
    return header[4:6] + header[18:20] if header.startswith(b"\x7fELF") else b""


def matching(folder: Path, *patterns: str) -> list[Path]:
    """What lies in a folder under such names, sorted; nothing when it cannot be read."""
    try:
        return sorted(path for pattern in patterns for path in folder.glob(pattern))
    except OSError:
        return []


def opened(process: Path) -> set[str]:
    """What a process (its folder in /proc) has open; what it closes meanwhile, or this user may not see, is left out."""
    found = set()
    for entry in matching(process / "fd", "*"):
        with suppress(OSError):
            found.add(str(entry.readlink()))
    return found

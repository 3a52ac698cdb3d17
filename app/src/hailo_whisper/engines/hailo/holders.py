"""Who has the device open, as far as this user may know."""

import os
from pathlib import Path

NODES = ("/dev/hailo", "/dev/h1x-")
"""How the names of the device's nodes begin: up to driver 5.2, and from 5.3 on."""


def holders(proc: Path = Path("/proc")) -> str:
    """A sentence that names the programs that have the device open; empty when none can be seen."""
    folders = sorted(proc.glob("[0-9]*"), key=lambda folder: int(folder.name))
    others = [folder for folder in folders if int(folder.name) != os.getpid() and _has_open(folder / "fd")]
    found = [f"{_name(folder)} (process {folder.name})" for folder in others]
    return f"It is held by {', '.join(found)}." if found else ""


def _has_open(descriptors: Path) -> bool:
    try:
        return any(str(entry.readlink()).startswith(NODES) for entry in descriptors.iterdir())
    except OSError:
        return False


def _name(folder: Path) -> str:
    try:
        return (folder / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "a program"

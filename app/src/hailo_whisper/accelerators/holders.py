"""Who has the Hailo device open, as far as this user may know."""

import os
from dataclasses import dataclass
from pathlib import Path

from .files import opened

NODES = ("/dev/hailo", "/dev/h1x-")
"""How the names of the device's nodes begin: up to driver 5.2, and from 5.3 on."""
WORKER = b"hailo_whisper.engines.worker"


@dataclass(frozen=True)
class Holder:
    """A program that has it open."""

    pid: int
    name: str
    ours: bool
    """Whether it is the worker of a hailo-whisper."""

    def __str__(self) -> str:
        return f"{self.name} (process {self.pid})"


def found(proc: Path = Path("/proc")) -> list[Holder]:
    """The programs that have the device open, other than this one."""
    folders = sorted(proc.glob("[0-9]*"), key=lambda folder: int(folder.name))
    others = [
        folder for folder in folders if int(folder.name) != os.getpid() and any(each.startswith(NODES) for each in opened(folder))
    ]
    return [Holder(int(folder.name), _name(folder), _is_worker(folder)) for folder in others]


def holders(proc: Path = Path("/proc")) -> str:
    """A sentence that names them; empty when none can be seen."""
    names = ", ".join(map(str, found(proc)))
    return f"It is held by {names}." if names else ""


def _name(folder: Path) -> str:
    try:
        return (folder / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "a program"


def _is_worker(folder: Path) -> bool:
    try:
        return WORKER in (folder / "cmdline").read_bytes()
    except OSError:
        return False

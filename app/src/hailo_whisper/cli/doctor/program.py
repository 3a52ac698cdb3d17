"""Checks of what the program runs on: Python, the C library, the clock, memory and disk."""

import datetime
import importlib.metadata
import os
import platform
import re
import shutil
import sys
from pathlib import Path

from ... import __version__
from ...accelerators.files import text
from ...failure import Failure
from ...models import catalog
from ...service import memory as memories
from .finding import Finding, broken, ok, warning
from .patient import Patient

PYTHONS = ((3, 11), (3, 13))
LEAST_GLIBC = (2, 28)
"""Of the wheels: manylinux_2_28."""
LEAST_MB, FEW_MB = 50, 500
"""Of free disk: below the first nothing works any more, below the second no model can be fetched."""
MB = 1_000_000
SOURCE = Path(__file__)


def python(_: Patient) -> list[Finding]:
    """Whether the interpreter and the C library are those that the packages are made for."""
    libc = platform.libc_ver()
    what = f"hailo-whisper {__version__}, Python {platform.python_version()}, {' '.join(libc).strip() or 'an unknown C library'}, {sys.prefix}"
    return [judged(what, sys.version_info[:2], *libc)]


def judged(what: str, version: tuple[int, ...], libc: str, release: str) -> Finding:
    """The finding of such an interpreter on such a C library."""
    least, most = PYTHONS
    if not least <= version <= most:
        return broken("python", what, "Install it with Python 3.11, 3.12 or 3.13.")
    numbers = tuple(int(part) for part in re.findall(r"\d+", release)[:2])
    if libc != "glibc":
        return warning(
            "python",
            what,
            "The packages are made for glibc (Debian, Ubuntu, Raspberry Pi OS); with another C library, nobody has tried them.",
        )
    if numbers < LEAST_GLIBC:
        return broken("python", what, "The packages need glibc 2.28 or newer: Debian 11, Ubuntu 20.04 or anything later.")
    return ok("python", what)


def clock(patient: Patient) -> list[Finding]:
    """Whether the time can be right: fetching models needs it, and so does whoever reads the log."""
    now = datetime.datetime.now(datetime.UTC)
    installed = datetime.datetime.fromtimestamp(SOURCE.stat().st_mtime, datetime.UTC)
    shown = now.strftime("%Y-%m-%d %H:%M UTC")
    cure = "Set it (`timedatectl set-ntp true`): with a wrong clock no model can be fetched, because no certificate is valid."
    if now < installed - datetime.timedelta(days=1):
        return [broken("clock", f"{shown}, which is before this program was installed", cure)]
    synchronised = patient.ask(["timedatectl", "show", "-p", "NTPSynchronized", "--value"])
    if synchronised == "no":
        return [warning("clock", f"{shown}, not synchronised", cure)]
    return [ok("clock", f"{shown}, {'synchronised' if synchronised == 'yes' else 'whether it is synchronised is not known'}")]


def memory(patient: Patient) -> list[Finding]:
    """Whether the models fit into the machine's memory."""
    most = memories.machine_mb()
    about = text(patient.root / "proc/meminfo") or ""
    free = re.search(r"^MemAvailable:\s*(\d+) kB", about, re.MULTILINE)
    shown = f"{most} MB" + (f", {int(free[1]) * 1024 // MB} MB available" if free else "")
    try:
        known = catalog.load(extra=Path(patient.settings.models.catalog))
        name = patient.settings.model.name
        needed = known.get(name).memory_mb if name in known else 0
    except Failure:
        # The check of the models says what is wrong with it.
        needed = 0
    if needed > most:
        return [
            broken(
                "memory",
                f"{shown}; the model {name} needs {needed} MB",
                "Set model.name to a smaller one (`hailo-whisper models list`).",
            )
        ]
    if free and not (patient.installed and patient.units and patient.units.service.active_state == "active"):
        left = int(free[1]) * 1024 // MB
        if needed > left:
            return [
                warning(
                    "memory",
                    f"{shown}; the model {name} needs {needed} MB",
                    "End other programs, or set model.name to a smaller one.",
                )
            ]
    return [ok("memory", shown)]


def disk(patient: Patient) -> list[Finding]:
    """Whether there is room where the service keeps things."""
    storage = patient.settings.storage
    folders = {"disk": Path(storage.models), "disk-cache": Path(storage.cache)}
    found, seen = [], set[int]()
    for check, folder in folders.items():
        there = _there(patient.root / folder.relative_to("/"))
        try:
            free, device = shutil.disk_usage(there).free // MB, there.stat().st_dev
        except OSError as error:
            found.append(
                broken(
                    check, f"{folder} cannot be looked at: {error.strerror}", "Check its disk (`dmesg`), its owner and its mode."
                )
            )
            continue
        if device in seen:
            continue
        seen.add(device)
        found.append(room(check, folder, free))
    return found


def room(check: str, folder: Path, free: int) -> Finding:
    """The finding of a folder on a disk with so many MB free."""
    shown = f"{free} MB free for {folder}"
    if free < LEAST_MB:
        return broken(
            check,
            shown,
            "The disk is full: make room (`journalctl --vacuum-size=100M`, `apt-get clean`, `hailo-whisper models remove NAME`).",
        )
    if free < FEW_MB:
        return warning(check, shown, "Make room before you fetch a model: the larger ones have several thousand MB.")
    return ok(check, shown)


def _there(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    return next(folder for folder in (path, *path.parents) if folder.exists())


def versions() -> dict[str, str | None]:
    """Of this program and what it is made of."""
    found: dict[str, str | None] = {"hailo-whisper": __version__, "python": platform.python_version()}
    for name in ("ctranslate2", "faster-whisper", "numpy", "av", "onnxruntime", "hailort"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found | {"kernel": os.uname().release, "system": system()}


def system(root: Path = Path("/")) -> str | None:
    """What the system calls itself."""
    name = re.search(r'^PRETTY_NAME="?([^"\n]+)', text(root / "etc/os-release") or "", re.MULTILINE)
    return name[1] if name else None

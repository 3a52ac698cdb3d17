"""What the emulator is told: by the environment once, by the file `control` at each step."""

import ctypes
import os
import signal
import tempfile
import time
from pathlib import Path

VERSIONS = ("4.23.0", "5.1.1", "5.2.0", "5.3.0")
VERSION = os.environ.get("HAILO_EMULATOR_VERSION", "5.2.0")
if VERSION not in VERSIONS:
    raise ImportError(f"the emulator knows the versions {', '.join(VERSIONS)}, and HAILO_EMULATOR_VERSION is {VERSION!r}")
NODES = os.environ.get("HAILO_EMULATOR_NODES")


def folder() -> Path:
    """The folder that is the device."""
    found = Path(os.environ.get("HAILO_EMULATOR_FOLDER") or Path(tempfile.gettempdir()) / f"hailo-emulator-{os.getuid()}")
    found.mkdir(parents=True, exist_ok=True)
    return found


def lines() -> list[list[str]]:
    """The words of each line of the control file."""
    try:
        return [line.split() for line in (folder() / "control").read_text().splitlines() if line.strip()]
    except FileNotFoundError:
        return []


def says(word: str) -> bool:
    """Whether the word stands in a line of its own."""
    return [word] in lines()


def value(word: str, default: str) -> str:
    """What stands after the word."""
    return next((line[1] for line in lines() if line[0] == word and len(line) == 2), default)


def absent() -> bool:
    """Whether there is no device: because it was told so, or because it has no node where it should have one."""
    return says("absent") or (NODES is not None and node() is None)


def node() -> Path | None:
    """The device's node, where it has one."""
    found = [path for pattern in ("hailo[0-9]*", "h1x-[0-9]*") for path in sorted(Path(NODES).glob(pattern))] if NODES else []
    return found[0] if found else None


def architecture() -> str:
    """What the device is: "hailo8", "hailo8l" or "hailo10h"."""
    return value("arch", "HAILO10H" if not VERSION.startswith("4.") else "HAILO8").lower()


def serves() -> bool:
    """Whether the device has a server of its own, which sees the groups of all processes. With any other a group is known in one process alone."""
    return architecture() == "hailo10h"


def suffer(moment: str) -> int | None:
    """Do to this process what is to happen at that moment. Returns the code of an error that is to be raised."""
    for line in lines():
        if line[0] != moment:
            continue
        match line[1:]:
            case ["raise", code]:
                return int(code)
            case ["hang"]:
                hold(float("inf"))
            case ["crash"]:
                os.kill(os.getpid(), signal.SIGSEGV)
            case ["hold", seconds]:
                hold(float(seconds))
            case other:
                raise ValueError(f"the emulator does not know {other} in its control file")
    return None


def hold(seconds: float) -> None:
    """Hold the GIL: PyDLL, unlike CDLL, keeps it during the call."""
    libc = ctypes.PyDLL(None)
    end = time.monotonic() + seconds
    # Without a thread switch in between: a long sleep at a time.
    while (left := end - time.monotonic()) > 0:
        libc.usleep(ctypes.c_uint(int(min(left, 900.0) * 1e6)))

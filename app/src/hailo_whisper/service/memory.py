"""How much memory this machine leaves to the service, and how much a process has of it."""

import contextlib
import os
from pathlib import Path

from ..control_groups import limits

MB = 1_000_000
COUNTED = Path("/proc/vmstat")


def machine_mb() -> int:
    """Memory that the service may have, in MB: the machine's, or what the strictest of its control groups allows."""
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([whole, *(int(text) for text in limits("memory.max") if text.isdigit())]) // MB


def resident(pid: int) -> int:
    """Bytes of memory that a process has; 0 when there is no such process any more."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def shortages() -> int:
    """How many processes the kernel has ended for want of memory since the machine was started, in whichever control group; 0 where it does not say."""
    with contextlib.suppress(OSError, ValueError):
        for line in COUNTED.read_text(encoding="ascii").splitlines():
            name, _, count = line.partition(" ")
            if name == "oom_kill":
                return int(count)
    return 0

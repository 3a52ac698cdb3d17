"""How much memory this machine leaves to the service, and how much a process has of it."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

MB = 1_000_000
GROUPS = Path("/sys/fs/cgroup")
COUNTED = Path("/proc/vmstat")


def machine_mb() -> int:
    """Memory that the service may have, in MB: the machine's, or what the strictest of its control groups allows."""
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([whole, *_limits(Path("/proc/self/cgroup"), GROUPS)]) // MB


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


def _limits(own: Path, groups: Path) -> Iterator[int]:
    """The limits of the process's group and of those above it (cgroup v2), in bytes."""
    try:
        (line,) = [line for line in own.read_text(encoding="utf-8").splitlines() if line.startswith("0::/")]
    # Without such groups there is no limit of theirs.
    except (OSError, ValueError):
        return
    group = groups / line.removeprefix("0::/")
    for folder in (group, *group.parents):
        if not folder.is_relative_to(groups):
            return
        try:
            text = (folder / "memory.max").read_text(encoding="ascii").strip()
        # The root has none.
        except OSError:
            continue
        if text.isdigit():
            yield int(text)

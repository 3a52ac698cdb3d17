"""What the control groups of this process (cgroup v2) let it have: a container's limits, and a service's, are such groups."""

from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/")


def limits(name: str, root: Path = ROOT) -> Iterator[str]:
    """What the process's group and those above it have in the file of that name, such as `memory.max`; nothing where there are no such groups."""
    try:
        (line,) = [
            line for line in (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines() if line.startswith("0::/")
        ]
    # Without such groups there is no limit of theirs.
    except (OSError, ValueError):
        return
    groups = root / "sys/fs/cgroup"
    group = groups / line.removeprefix("0::/")
    for folder in (group, *group.parents):
        if not folder.is_relative_to(groups):
            return
        try:
            text = (folder / name).read_text(encoding="ascii").strip()
        # The root has none.
        except OSError:
            continue
        yield text

"""The processor, as far as it matters here."""

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

from ..control_groups import limits
from .files import text

ROOT = Path("/")

VECTORS = ("avx512f", "avx2", "avx", "sse4_1", "asimddp", "asimd")
"""What CTranslate2's kernels use, the best first."""


@dataclass(frozen=True)
class Cpu:
    """What was found."""

    name: str
    machine: str
    """Such as x86_64 or aarch64."""
    cores: int
    """That this process may use, as `cores` counts them."""
    vectors: str | None
    """The best of VECTORS that it has."""


def survey(root: Path) -> Cpu:
    """Read what the kernel says of it."""
    about = text(root / "proc/cpuinfo") or ""
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.*)$", about, re.MULTILINE)
    had = flags[1].split() if flags else []
    model = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", about, re.MULTILINE) or re.search(
        r"^Hardware\s*:\s*(.+)$", about, re.MULTILINE
    )
    best = next((vector for vector in VECTORS if vector in had), None)
    return Cpu(model[1].strip() if model else platform.machine(), platform.machine(), cores(root), best)


def cores(root: Path = ROOT) -> int:
    """How many cores this process may use: those that it may run on, or as many as its control groups give it the time of, whichever is less.

    A container's and a service's quota (`--cpus`, CPUQuota=) leaves it all cores to run on: with a thread on each of them it has used up its time at
    once, and stands still for the rest of each period. Of a part of a core it has one all the same.
    """
    quotas = [text.split() for text in limits("cpu.max", root)]
    whole = [int(quota) // int(period) for quota, period in quotas if quota != "max"]
    return max(min([len(os.sched_getaffinity(0)), *whole]), 1)

"""What was measured on, and with what."""

import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from .peers import PROJECT, SHARED, WYOMING


def describe() -> dict[str, Any]:
    """Model of the processor, cores that may be used, memory, system, versions, load before the run, commit."""
    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    flags = re.search(r"^flags\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    memory = re.search(r"^MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text(encoding="utf-8"), re.MULTILINE)
    wide = [flag for flag in ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8") if flags and flag in flags[1].split()]
    return {
        "cpu": model[1] if model else platform.machine(),
        "vector_extensions": wide,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(int(memory[1]) * 1024 / 1e9, 1) if memory else None,
        "kernel": platform.release(),
        "system": _system(),
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in SHARED} | {"wyoming-faster-whisper": WYOMING.partition("==")[2]},
        "load_before": round(os.getloadavg()[0], 2),
        "commit": commit(),
    }


def commit() -> str:
    """The commit that the tree is at, with `-dirty` when it was changed since."""
    command = ["git", "-C", str(PROJECT), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _system() -> str:
    try:
        return str(platform.freedesktop_os_release()["PRETTY_NAME"])
    except OSError:
        return platform.system()

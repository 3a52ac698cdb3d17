"""The source distribution of the `openai` package, of the version that dev.lock pins: its tests are in there, and not in the wheel."""

import fcntl
import os
import re
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

LOCK = Path(__file__).parents[2] / "requirements" / "dev.lock"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hailo-whisper"


def pinned() -> str:
    """The lock's requirement: the version and the sums of what the registry has of it, the source distribution's among them."""
    found = re.search(r"^openai==.*?(?:[^\\]\n)", LOCK.read_text(), re.DOTALL | re.MULTILINE)
    assert found, f"{LOCK} pins no openai"
    return found.group()


def openai_source() -> Path:
    """The folder of the unpacked distribution, fetched unless the cache has it; only what has a sum of the lock's is unpacked."""
    requirement = pinned()
    place = CACHE / f"openai-source-{sha256(requirement.encode()).hexdigest()[:16]}"
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / ".complete").exists():
            shutil.rmtree(place, ignore_errors=True)
            _fetch(requirement, place)
            (place / ".complete").touch()
    (folder,) = place.glob("openai-*/")
    return folder


def _fetch(requirement: str, place: Path) -> None:
    place.mkdir()
    (place / "requirement").write_text(requirement)
    # pip reads the version from the source, by hatchling: the lock's, instead of one that nobody pinned.
    options = ["--no-deps", "--no-binary", "openai", "--no-build-isolation", "--require-hashes", "--quiet"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(place), "-r", str(place / "requirement")]
    subprocess.run(command, check=True, timeout=240)
    (archive,) = place.glob("openai-*.tar.gz")
    subprocess.run(["tar", "-xzf", str(archive), "-C", str(place)], check=True)
    archive.unlink()

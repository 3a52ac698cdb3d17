"""Node and the official `openai` package for it, of the versions that dev.lock and package-lock.json pin."""

import fcntl
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "contract" / "node"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hailo-whisper"
# Of the Python environment, because that of Debian 12 is too old for the package.
NODE, NPM = (str(Path(sys.executable).parent / name) for name in ("node", "npm"))


class Node:
    """Where the packages are installed, outside of the tree: fetched unless the cache has them."""

    def __init__(self) -> None:
        lock = (PACKAGE / "package-lock.json").read_bytes()
        self._place = CACHE / f"node-{sha256(lock).hexdigest()[:16]}"
        self._place.parent.mkdir(parents=True, exist_ok=True)
        with self._place.with_suffix(".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not (self._place / ".complete").exists():
                shutil.rmtree(self._place, ignore_errors=True)
                self._install()
                (self._place / ".complete").touch()

    def _install(self) -> None:
        self._place.mkdir()
        for name in ("package.json", "package-lock.json"):
            shutil.copy(PACKAGE / name, self._place)
        # Its own node first, for npm is a script of it.
        environment = os.environ | {"PATH": f"{Path(NODE).parent}:{os.environ['PATH']}"}
        command = [NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(
            command,
            cwd=self._place,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def folder(self, empty: Path) -> Path:
        """Make a folder one from which scripts find the packages."""
        (empty / "node_modules").symlink_to(self._place / "node_modules")
        return empty

"""A small hailo-apps that the tests wrote, where it is published and where it is installed."""

import hashlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import scripted_hailo_apps
from hefs import hef

Vendor = Callable[..., dict[str, Any]]

PROGRAM = Path(__file__).resolve().parents[2] / "roles/hailo_apps/files/vendor.py"
DEFINES = "hailo_apps/python/core/common/defines.py"


def git(folder: Path, *arguments: str) -> str:
    who = {"GIT_CONFIG_GLOBAL": "/dev/null"} | {
        f"GIT_{one}_{two}": "t" for one in ("AUTHOR", "COMMITTER") for two in ("NAME", "EMAIL")
    }
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | who).stdout.strip()


class Upstream:
    """A repository of two commits, with the downloader of the one generation and of the other."""

    def __init__(self, folder: Path) -> None:
        self.published = folder / "published"
        self.published.mkdir()
        (self.published / "Whisper-Base.hef").write_bytes(hef())
        self.folder = folder / "upstream"
        self.folder.mkdir()
        git(self.folder, "init", "--quiet", "--initial-branch=main")
        self.old, self.new = self.commit("old"), self.commit("new")

    def commit(self, generation: scripted_hailo_apps.Generation, defines: str = "") -> str:
        scripted_hailo_apps.write(self.folder, self.published.as_uri(), generation)
        if defines:
            (self.folder / DEFINES).write_text(defines)
        (self.folder / "run.sh").write_text("#!/bin/sh\n")
        (self.folder / "run.sh").chmod(0o755)
        (self.folder / "link").unlink(missing_ok=True)
        (self.folder / "link").symlink_to("/etc/passwd")
        git(self.folder, "add", "--all")
        git(self.folder, "commit", "--quiet", "--allow-empty", "--message", generation)
        return git(self.folder, "rev-parse", "HEAD")

    @property
    def address(self) -> str:
        return self.folder.as_uri()

    def archive(self, path: Path, commit: str) -> tuple[str, str]:
        """Its path and sum."""
        kind = "zip" if path.suffix == ".zip" else "tar.gz"
        git(self.folder, "archive", f"--format={kind}", "--prefix=hailo-apps-1/", f"--output={path}", commit)
        return str(path), hashlib.sha256(path.read_bytes()).hexdigest()


def asking(tree: Path, upstream: Upstream) -> Vendor:
    """Runs the role's program, as the role does. Unless told otherwise it wants the newer commit."""

    def run(action: str, **wanted: Any) -> dict[str, Any]:
        plain = {
            "tree": str(tree),
            "venv": "/venv",
            "resources": "/var/lib/hailo-whisper/resources",
            "commit": upstream.new,
            "repositories": [upstream.address],
            "archive": "",
            "sha256": "",
        }
        command = [sys.executable, str(PROGRAM), action, json.dumps(plain | wanted)]
        answer: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        return answer

    return run


def shown(tree: Path) -> dict[str, str]:
    """What is in a tree: the mode and the content of every file."""
    return {
        str(path.relative_to(tree)): f"{stat.S_IMODE(path.stat().st_mode):o} {path.read_text() if path.is_file() else ''}"
        for path in tree.rglob("*")
        if path.name != ".hailo-whisper.json"
    }

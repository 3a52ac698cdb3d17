"""Running a downloader as a child: it can be stopped when it stalls, and it takes its libraries with it when it ends."""

import math
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ..progress import Progress
from .failed import SourceFailed

# No byte and no word for so long means that none will come. Downloaders have time-outs of their own, far below this one.
STALL_SECONDS = 60.0
POLL_SECONDS = 0.2


def download(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    folder: Path,
    log: Path,
    reached: int,
    limit: int,
    progress: Progress,
    stall_seconds: float = STALL_SECONDS,
    limit_seconds: float = math.inf,
) -> None:
    """Run the command until it ends, and report the growth of `folder` as progress: `reached` bytes and up to `limit` more.

    Its words go to the file `log`. Raises SourceFailed when it fails, with its last words, when neither the folder nor the
    log has grown for `stall_seconds`, and when it takes longer than `limit_seconds`. Leaves no child behind, however it is left.
    """
    with log.open("wb") as words:
        child = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=words, stderr=subprocess.STDOUT)
        try:
            for arrived in _growth(child, folder, log, stall_seconds, limit_seconds):
                progress.reach(reached + min(arrived, limit))
        finally:
            if child.poll() is None:
                child.kill()
            child.wait()
    if child.returncode:
        raise SourceFailed(last_words(log) or f"the downloader ended with status {child.returncode} and said nothing")


def _growth(child: subprocess.Popen[bytes], folder: Path, log: Path, stall_seconds: float, limit_seconds: float) -> Iterator[int]:
    """The bytes in the folder each time that they or the log have grown, until the child ends."""
    before, since = (-1, -1), time.monotonic()
    end = since + limit_seconds
    while True:
        try:
            child.wait(POLL_SECONDS)
            return
        except subprocess.TimeoutExpired:
            now = (folder_size(folder), log.stat().st_size)
        if now != before:
            before, since = now, time.monotonic()
            yield now[0]
        elif time.monotonic() - since > stall_seconds:
            raise SourceFailed(f"nothing arrived for {stall_seconds:.0f} seconds")
        if time.monotonic() > end:
            raise SourceFailed(f"it was not done after {limit_seconds:.0f} seconds")


def folder_size(folder: Path) -> int:
    """The bytes of all files under a folder that another process is changing."""
    size = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                size += (Path(parent) / name).lstat().st_size
            except FileNotFoundError:
                continue
    return size


def last_words(log: Path) -> str:
    """The last lines that start with ERROR, or else the last line, without a full stop."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    return " ".join(errors or lines[-1:]).rstrip(".")


def longest(env: Mapping[str, str], *variables: str) -> float:
    """The stall time-out, no shorter than what the user's own variables (seconds) grant a slow proxy."""
    given = [float(value) for variable in variables if (value := env.get(variable, "")).isdigit()]
    return max([STALL_SECONDS, *(2 * seconds for seconds in given)])

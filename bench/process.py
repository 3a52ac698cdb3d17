"""The processes of a target: started so that none outlives the bench, measured as a tree, ended by their process ids."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

# Seconds that a server gets to end by itself, and how often memory is looked at: often enough for a peak, seldom enough to cost nothing.
GRACE, STEP = 20.0, 0.2


class ProcessFailed(Exception):
    """A target's process ended, or did not answer in time. The message holds the end of its log."""


class Process:
    """A program with its output in a log file. Starts when it is made; must be made in the main thread."""

    def __init__(self, argv: Sequence[str], log: Path, *, environ: Mapping[str, str] | None = None, talks: bool = False) -> None:
        """Start it; with `talks`, its standard input and output are pipes of this process. `environ`: all of it; None: the bench's own."""
        self.log = log
        # In a session of its own it does not get the Ctrl-C that is meant for the bench; and it is killed when the bench is.
        argv = ["setpriv", "--pdeathsig", "KILL", "--", *argv]
        pipe = subprocess.PIPE if talks else None
        with log.open("ab") as stream:
            self.popen = subprocess.Popen(
                argv,
                stdin=pipe or subprocess.DEVNULL,
                stdout=pipe or stream,
                stderr=stream,
                env=environ,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Process id."""
        return self.popen.pid

    def check(self) -> None:
        """Raise ProcessFailed when it has ended."""
        if self.popen.poll() is not None:
            raise ProcessFailed(f"it ended with status {self.popen.returncode}. The end of {self.log}:\n{self.tail()}")

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-2000:].strip()

    def end(self) -> None:
        """End it and whatever it started."""
        family = {pid: _born(pid) for pid in tree(self.pid)}
        for stream in (self.popen.stdin, self.popen.stdout):
            if stream:
                with contextlib.suppress(OSError):
                    stream.close()
        self.popen.terminate()
        try:
            self.popen.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        for pid, born in family.items():
            # A number may have gone to another process meanwhile, which was born at another time.
            if born is not None and _born(pid) == born:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def tree(pid: int) -> list[int]:
    """`pid` and all its descendants that are there now."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += [int(child) for child in task.read_text().split()]
    return found


def pss(pid: int) -> int:
    """Memory of one process in bytes: its own pages, and its share of those that it has in common with others (PSS). 0: it is gone."""
    try:
        match = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(match[1]) * 1024 if match else 0


def tree_pss(pid: int) -> int:
    """Memory of a process and all its descendants, in bytes."""
    return sum(map(pss, tree(pid)))


class Peak:
    """The most memory that a tree has had between `with` and its end."""

    def __init__(self, pid: int) -> None:
        self.bytes = 0
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Peak":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.is_set():
            self.bytes = max(self.bytes, tree_pss(self._pid))
            self._over.wait(STEP)


def listener(port: int) -> int | None:
    """The process of this machine that listens on a TCP port; None: none does, or it belongs to somebody else."""
    inodes = set(_listening(port))
    for folder in Path("/proc").glob("[0-9]*/fd"):
        with contextlib.suppress(OSError):
            for descriptor in folder.iterdir():
                with contextlib.suppress(OSError):
                    if str(descriptor.readlink()).removeprefix("socket:[").removesuffix("]") in inodes:
                        return int(folder.parent.name)
    return None


def _listening(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            # 0A is the state of a socket that listens.
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def until(condition: object, seconds: float, step: float = 0.05) -> bool:
    """Poll until `condition()` is true; False when it was not in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if callable(condition) and condition():
            return True
        time.sleep(step)
    return False


def _born(pid: int) -> str | None:
    """When a process was started, in ticks since boot; None: it is gone, or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]

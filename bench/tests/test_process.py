import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.process import Peak, Process, ProcessFailed, free_port, listener, pss, tree, tree_pss, until

# Has a child of its own, which does not end with it.
PARENT = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); time.sleep(600)"


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_end_leaves_nothing(tmp_path: Path) -> None:
    process = Process([sys.executable, "-c", PARENT], tmp_path / "log")
    assert until(lambda: len(tree(process.pid)) == 2, 30)
    family = tree(process.pid)
    process.end()
    assert until(lambda: not any(map(alive, family)), 30)


def test_nothing_outlives_a_bench_that_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    program = (
        "import sys, time; from pathlib import Path; from bench.process import Process\n"
        "sleeper = [sys.executable, '-c', 'import time; print(1, flush=True); time.sleep(600)']\n"
        f"print(Process(sleeper, Path({str(log)!r})).pid, flush=True)\n"
        "time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": "."}
    ) as it:
        assert it.stdout is not None
        child = int(it.stdout.readline())
        # From then on it is bound to the life of its parent.
        assert until(lambda: bool(log.read_text()), 30)
        assert alive(child)
        it.kill()
    assert until(lambda: not alive(child), 30)


def test_the_log_says_why_it_ended(tmp_path: Path) -> None:
    process = Process([sys.executable, "-c", "raise SystemExit('no such model')"], tmp_path / "log")
    process.popen.wait(30)
    with pytest.raises(ProcessFailed, match="no such model"):
        process.check()
    process.end()


def test_memory_of_a_tree(tmp_path: Path) -> None:
    size = 50_000_000
    program = f"import subprocess, sys, time; kept = b'x' * {size}; {PARENT}"
    process = Process([sys.executable, "-c", program], tmp_path / "log")
    try:
        with Peak(process.pid) as peak:
            assert until(lambda: len(tree(process.pid)) == 2 and tree_pss(process.pid) > size, 30)
            assert until(lambda: peak.bytes > pss(process.pid) > size, 30)
        assert size < pss(process.pid) < peak.bytes
    finally:
        process.end()
    assert pss(process.pid) == 0


def test_listener_is_found_by_its_port() -> None:
    port = free_port()
    assert listener(port) is None
    with socket.create_server(("127.0.0.1", port)):
        assert listener(port) == os.getpid()


def test_until_gives_up() -> None:
    began = time.monotonic()
    assert until(lambda: False, 0.1, 0.01) is False
    assert time.monotonic() - began >= 0.1

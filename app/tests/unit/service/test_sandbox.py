import ctypes
import errno
import os
import platform
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hailo_whisper.service import sandbox

MACHINES = {"x86_64": 0, "aarch64": 1}
pytestmark = pytest.mark.skipif(platform.machine() not in MACHINES, reason="there is a filter for x86-64 and aarch64 only")

# Runs in a process of its own: does something after it shut itself in, and says the error's name or "ok".
PROGRAM = """
import ctypes, errno, fcntl, mmap, os, resource, signal, socket, sys, threading, time
from hailo_whisper.service import sandbox
pair = socket.socketpair()
libc = ctypes.CDLL(None, use_errno=True)
{before}
assert sandbox.enter()
try:
    {after}
    print("ok")
except OSError as error:
    print(errno.errorcode[error.errno])
"""


def inside(after: str, before: str = "") -> str:
    """What comes of it."""
    program = PROGRAM.format(before=before, after=after)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, (done.returncode, done.stderr)
    return done.stdout.strip()


@pytest.mark.parametrize(
    "attempt",
    [
        "socket.socket()",
        "socket.socket(socket.AF_UNIX)",
        "socket.socketpair()",
        "pair[0].connect('/run/elsewhere')",
        "pair[0].bind('/tmp/elsewhere')",
        "pair[0].listen()",
        "pair[0].accept()",
        "open('/etc/passwd')",
        "open('/tmp/hailo-whisper-must-not-be', 'w')",
        "os.listdir('/')",
        "os.unlink('/nowhere')",
        "os.rename('/nowhere', '/elsewhere')",
        "os.mkdir('/tmp/hailo-whisper-must-not-be')",
        "os.rmdir('/nowhere')",
        "os.symlink('/nowhere', '/tmp/hailo-whisper-must-not-be')",
        "os.link('/nowhere', '/elsewhere')",
        "os.mkfifo('/tmp/hailo-whisper-must-not-be')",
        "os.truncate('/nowhere', 0)",
        "os.chmod('/nowhere', 0o777)",
        "os.chown('/nowhere', 0, 0)",
        "os.utime('/nowhere')",
        "os.chdir('/')",
        "os.execv('/bin/true', ['true'])",
        "os.fork()",
        "os.posix_spawn('/bin/true', ['true'], {})",
        "os.kill(os.getppid(), 0)",
        "os.kill(os.getpid(), 0)",
        "os.pidfd_open(os.getppid())",
        "signal.pidfd_send_signal(0, signal.SIGTERM)",
        "resource.prlimit(os.getppid(), resource.RLIMIT_CPU)",
    ],
)
def test_what_it_must_not_do(attempt: str) -> None:
    assert inside(attempt) == "EPERM"


@pytest.mark.parametrize("name", sandbox.DENIED)
def test_every_call_of_the_list_is_refused(name: str) -> None:
    number = sandbox.DENIED[name][MACHINES[platform.machine()]]
    if number is None:
        pytest.skip("this machine has no such call")
    # Arguments that no such call takes, so that nothing happens where it is not refused.
    call = f"libc.syscall({number}, *[ctypes.c_long(-1)] * 6) == -1 and (_ for _ in ()).throw(OSError(ctypes.get_errno(), ''))"
    assert inside(call) == "EPERM"


@pytest.mark.parametrize(
    "deed",
    [
        "os.close(os.memfd_create('sound', os.MFD_ALLOW_SEALING))",
        "fd = os.memfd_create('sound'); os.write(fd, b'x' * 8192); mmap.mmap(fd, 8192, prot=mmap.PROT_READ).read()",
        "fd = os.memfd_create('sound', os.MFD_ALLOW_SEALING); fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)",
        "socket.send_fds(pair[0], [b'x'], [0]); socket.recv_fds(pair[1], 1, 1)",
        "thread = threading.Thread(target=time.sleep, args=(0.01,)); thread.start(); thread.join()",
        "bytearray(50_000_000)",
        "resource.setrlimit(resource.RLIMIT_CPU, (100, resource.getrlimit(resource.RLIMIT_CPU)[1]))",
        "open(os.dup(1), 'w').close()",
        "time.sleep(0.01); os.urandom(8); os.sched_getaffinity(0)",
    ],
)
def test_what_it_needs_goes_on(deed: str) -> None:
    assert inside(deed) == "ok"


def test_a_terminal_cannot_be_typed_at() -> None:
    # TIOCSTI puts a character into the terminal's input, as if somebody had typed it.
    assert inside("fcntl.ioctl(0, 0x5412, b'x')") == "ENOTTY"


def test_it_can_abort() -> None:
    program = PROGRAM.format(before="", after="os.abort()")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGABRT


@pytest.mark.skipif(platform.machine() != "x86_64", reason="only x86-64 can be asked by other numbers")
def test_the_other_numbers_of_x86_64_are_refused() -> None:
    # getpid by its x32 number, which a kernel without x32 would answer with ENOSYS.
    call = "libc.syscall(0x40000000 + 39) == -1 and (_ for _ in ()).throw(OSError(ctypes.get_errno(), ''))"
    assert inside(call) == "EPERM"


def test_threads_that_are_there_already_would_stay_outside() -> None:
    program = PROGRAM.format(before="threading.Thread(target=time.sleep, args=(60,), daemon=True).start()", after="pass")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert "before it has threads" in done.stderr


def test_another_machine_goes_on_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert sandbox.enter() is False


@pytest.mark.parametrize("refused", [1, 2, 3])
def test_a_kernel_without_a_filter_goes_on_without(monkeypatch: pytest.MonkeyPatch, refused: int) -> None:
    """The first call asks for a filter, the second gives up privileges, the third sets it. Under qemu, which fails the first, there are threads."""

    class Libc:
        calls = 0

        def prctl(self, *_: object) -> int:
            self.calls += 1
            return -1 if self.calls == refused else 0

    def load(*_: object, **__: object) -> Libc:
        return Libc()

    monkeypatch.setattr(ctypes, "CDLL", load)
    monkeypatch.setattr(os, "listdir", lambda _: ["1", "2"] if refused == 1 else ["1"])
    assert sandbox.enter() is False


@pytest.mark.parametrize(("machine", "architecture"), [("x86_64", 0xC000003E), ("aarch64", 0xC00000B7)])
def test_another_architecture_is_killed_first_of_all(machine: str, architecture: int) -> None:
    answer = simulator(sandbox.filter_program(machine, 7))
    assert answer(architecture, 0, 0) != 0x80000000
    assert answer(0x40000003, 0, 0) == 0x80000000


@pytest.mark.parametrize(
    ("machine", "architecture", "clone", "prlimit", "tgkill"),
    [("x86_64", 0xC000003E, 56, 302, 234), ("aarch64", 0xC00000B7, 220, 261, 131)],
)
def test_arguments_are_looked_at_on_either_machine(
    machine: str, architecture: int, clone: int, prlimit: int, tgkill: int
) -> None:
    answer, refused, allowed = simulator(sandbox.filter_program(machine, 7)), 0x00050000 | errno.EPERM, 0x7FFF0000
    # The flags of pthread_create(3), and of fork(2).
    assert answer(architecture, clone, 0x3D0F00) == allowed
    assert answer(architecture, clone, 0x01200011) == refused
    assert (answer(architecture, prlimit, 0), answer(architecture, prlimit, 8)) == (allowed, refused)
    assert (answer(architecture, tgkill, 7), answer(architecture, tgkill, 8)) == (allowed, refused)
    assert answer(architecture, 435, 0) == 0x00050000 | errno.ENOSYS
    for numbers in sandbox.DENIED.values():
        number = numbers[MACHINES[machine]]
        assert number is None or answer(architecture, number, 0) == refused


def simulator(program: bytes) -> Callable[[int, int, int], int]:
    """The kernel's machine for such filters, as far as they use it: architecture, number and first argument to an answer."""
    steps = [(int.from_bytes(program[i : i + 2], sys.byteorder), program[i + 2], program[i + 3],
              int.from_bytes(program[i + 4 : i + 8], sys.byteorder)) for i in range(0, len(program), 8)]  # fmt: skip

    def run(architecture: int, number: int, argument: int) -> int:
        data, at, accumulator = {0: number, 4: architecture, 16: argument}, 0, 0
        while True:
            code, if_true, if_false, value = steps[at]
            at += 1
            match code:
                case 0x06:
                    return value
                case 0x20:
                    accumulator = data[value]
                case _:
                    test = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[code]
                    at += if_true if test else if_false

    return run


def test_limits(tmp_path: Path) -> None:
    program = (
        "import resource\nfrom hailo_whisper.service import sandbox\nsandbox.limit(1 << 30, 20)\n"
        "print(*[resource.getrlimit(which)[0] for which in (resource.RLIMIT_AS, resource.RLIMIT_NOFILE, resource.RLIMIT_CORE)])\n"
        "try:\n    bytearray(1 << 30)\nexcept MemoryError:\n    print('no memory')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split("\n")[:2] == [f"{1 << 30} 20 0", "no memory"]


def test_a_process_that_goes_on_and_on_is_killed_and_one_that_is_given_more_is_not() -> None:
    program = (
        "import time\nfrom hailo_whisper.service import sandbox\nsandbox.limit_cpu(1)\n"
        "end = time.process_time() + 0.8\nwhile time.process_time() < end: pass\n"
        "sandbox.limit_cpu(1)\nend += 0.8\nwhile time.process_time() < end: pass\n"
        "print('alive', flush=True)\nwhile True: pass"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGXCPU, "alive\n")


def test_a_limit_of_the_administrators_is_not_exceeded(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1, 1))
    monkeypatch.setattr(resource, "setrlimit", lambda _, values: limits.append(values))
    sandbox.limit_cpu(1000)
    assert limits == [(1, 1)]

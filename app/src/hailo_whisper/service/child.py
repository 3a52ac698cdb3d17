"""A program of ours in a process of its own, which may crash, hang or be killed without harm to the server.

Both sides are here: the parent's handle, and the loop of the child. `channel` is the wire between them.
"""

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from . import log, memory
from .channel import Channel, Message

# A child's few threads hold large blocks for a moment each. With the usual heap for each thread (mallopt(3)) every one of them would
# keep what it needed at its worst: a quarter more memory, and no time won.
MALLOC = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 * 1024 * 1024),
    "MALLOC_TRIM_THRESHOLD_": str(64 * 1024 * 1024),
}
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
DYING_SECONDS = 0.5
"""Longest wait for a process that was killed, which the event loop waits along."""
WEDGED_SECONDS = 5.0
"""After which the journal is told that it does not end."""


# What asks a child for another line; its end comes along.
_LINE = {"line": True}


class ChildDied(Exception):
    """The child ended before it answered. The message says how."""


class ChildStarved(ChildDied):
    """The kernel ended the child, because there was too little memory for it."""


class ChildTimeout(Exception):
    """The child did not answer by the deadline; the caller is to kill it."""


Handler = Callable[[Message], tuple[dict[str, Any], Sequence[int]]]


class Line:
    """The parent's end of one conversation with a child: one question at a time.

    `call` blocks; `ask` is the same for asyncio, on a thread that belongs to this line.
    """

    def __init__(self, sock: socket.socket, name: str, ending: Callable[[], int | None]) -> None:
        self._sock = sock
        self._name = name
        self._ending = ending
        self._channel = Channel(sock)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)

    def call(self, data: Mapping[str, Any], fds: Sequence[int] = (), *, deadline: float) -> Message:
        """Send a message and wait for the answer, `deadline` seconds at most.

        Raises ChildTimeout, after which the child is of no more use (a late answer would be taken for the next one's), or
        ChildDied.
        """
        shortages = memory.shortages()
        end = time.monotonic() + deadline
        try:
            self._sock.settimeout(deadline)
            self._channel.send(data, fds)
            self._sock.settimeout(max(end - time.monotonic(), 0.001))
            return self._channel.receive()
        except TimeoutError:
            raise ChildTimeout(f"{self._name} did not answer within {deadline:.0f} s") from None
        except (EOFError, OSError, ValueError):
            raise self._death(shortages) from None

    async def ask(self, data: Mapping[str, Any], fds: Sequence[int] = (), *, deadline: float) -> Message:
        """Do `call` without blocking the event loop. When the caller is cancelled, the answer is awaited and thrown away."""
        # Duplicates, because a cancelled caller closes its own while the thread may not have sent them yet.
        ours = [os.dup(fd) for fd in fds]
        future = self._thread.submit(self.call, data, ours, deadline=deadline)
        future.add_done_callback(lambda _: _close(ours))
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            future.add_done_callback(_discard)
            raise

    def _death(self, shortages: int) -> ChildDied:
        """How the child died, who was asked when the kernel had ended so many processes for want of memory."""
        status = self._ending()
        if status is None:
            return ChildDied(f"{self._name} closed its channel")
        if status >= 0:
            return ChildDied(f"{self._name} ended with status {status}")
        if status == -signal.SIGKILL and memory.shortages() > shortages:
            return ChildStarved(f"{self._name} was ended by the kernel for want of memory")
        return ChildDied(f"{self._name} was killed by {signal.Signals(-status).name}")

    def shut(self) -> None:
        """Wake the thread that may be waiting in `call`, as closing would not."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket when the thread that may still be in `call` has left it."""
        self._thread.submit(self._channel.close)
        self._thread.shutdown(wait=False)


class Child:
    """The parent's handle: starts `python -m module FD`, asks it one thing at a time, kills it.

    `call` and `ask` are those of its first line; `line` opens another. `kill` may come from any thread.
    """

    def __init__(self, module: str) -> None:
        self._module = module
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                # Without -P, Python would import from the folder that whoever starts this stands in, which may be a stranger's.
                [sys.executable, "-P", "-m", module, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=os.environ | MALLOC,
            )
        first = Line(ours, module, self._ending)
        self._lines = [first]
        self.call = first.call
        self.ask = first.ask
        self.pidfd = os.pidfd_open(self._process.pid)
        """Becomes readable when the process ends (pidfd_open(2)); closed by `close`."""

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    async def line(self, *, deadline: float) -> Line:
        """Open another line, which the child answers on a thread of its own. Raises ChildTimeout, ChildDied."""
        ours, theirs = socket.socketpair()
        line = Line(ours, self._module, self._ending)
        self._lines.append(line)
        with theirs:
            await self.ask(_LINE, [theirs.fileno()], deadline=deadline)
        return line

    def kill(self) -> None:
        """End the process at once and give back everything it held. Harmless when it is gone already.

        One that a driver holds does not end, not even by SIGKILL. It is waited for `DYING_SECONDS`, and then in the background.
        """
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        try:
            self._process.wait(DYING_SECONDS)
        except subprocess.TimeoutExpired:
            threading.Thread(target=self._outlive, daemon=True).start()
        for line in self._lines:
            line.shut()

    def _outlive(self) -> None:
        try:
            self._process.wait(WEDGED_SECONDS)
        except subprocess.TimeoutExpired:
            logging.getLogger(__name__).error(
                "process %d (%s) was killed and does not end: the driver of its device holds it, which a restart of the machine cures",
                self.pid,
                self._module,
            )
            self._process.wait()

    def close(self) -> None:
        """Kill, and close the sockets."""
        self.kill()
        os.close(self.pidfd)
        for line in self._lines:
            line.close()

    def _ending(self) -> int | None:
        """Its exit status, below 0 the signal that ended it; None while it lives on."""
        try:
            return self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            return None


def _discard(future: "Future[Message]") -> None:
    if not future.cancelled() and future.exception() is None:
        _close(future.result().fds)


def _close(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)


def serve(handle: Handler) -> None:
    """The child's main loop: answer each message with what `handle` returns, until the parent is gone.

    An exception that `handle` raises is answered as `{"failed": "Type: text"}`, and the child lives on.
    """
    # An orphan would hold the device and the memory: die with the parent, whatever killed it.
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # Ctrl-C in a terminal reaches the whole process group, and the parent wants to drain first.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    log.configure_child()
    _converse(Channel(socket.socket(fileno=int(sys.argv[1]))), handle)


def _converse(channel: Channel, handle: Handler) -> None:
    """Answer what comes over one line, until the parent is gone."""
    while True:
        try:
            message = channel.receive()
        except (EOFError, OSError):
            return
        fds: Sequence[int] = ()
        try:
            if message.data == _LINE:
                threading.Thread(target=_another, args=(os.dup(message.fds[0]), handle), daemon=True).start()
                answer: dict[str, Any] = {}
            else:
                answer, fds = handle(message)
        except Exception as error:
            # Where it happened is for the journal alone; the other side gets what happened.
            logging.getLogger(__name__).exception("the child could not do what it was asked")
            answer = {"failed": f"{type(error).__name__}: {error}"}
        finally:
            for fd in message.fds:
                os.close(fd)
        try:
            channel.send(answer, fds)
        except OSError:
            return
        finally:
            for fd in fds:
                os.close(fd)


def _another(fd: int, handle: Handler) -> None:
    """The thread of another line. When it ends, be it for SystemExit, so does the process, as with the first line."""
    try:
        _converse(Channel(socket.socket(fileno=fd)), handle)
    except SystemExit as error:
        print(error.code, file=sys.stderr, flush=True)
    finally:
        os._exit(1)

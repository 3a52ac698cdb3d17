"""Who has the device: one process alone, or several of one group where the device has a server. The kernel lets go when a holder dies, however it dies."""

import fcntl
import os
import time
import weakref

from hailo_platform.emulation import control

ALONE = "UNIQUE"
WAIT_SECONDS = 5.0
"""That the device's server waits for one that somebody has, when it is asked for it alone."""
STEP = 0.05


class Claim:
    """The device, taken for a group until `release`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def again(self) -> "Claim":
        """Another one of it, in this process: the device is free when both are released."""
        return Claim(os.dup(self._descriptor))

    @property
    def held(self) -> bool:
        return self._descriptor >= 0

    def release(self) -> None:
        """Let go. Harmless when done twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


_OURS: dict[str, "weakref.WeakSet[Claim]"] = {}
"""Of this process, by their groups, on a device that has no server."""


def claim(group: str) -> Claim | None:
    """Take the device for a group; None when others have it."""
    return _of_all_processes(group) if control.serves() else _of_this_process(group)


def _of_this_process(group: str) -> Claim | None:
    """As libhailort does it itself: the driver keeps it for one open file, and refuses any other at once."""
    ours = _OURS.setdefault(group, weakref.WeakSet()) if group != ALONE else weakref.WeakSet()
    found = next((each.again() for each in ours if each.held), None) or _alone()
    if found is not None:
        ours.add(found)
    return found


def _of_all_processes(group: str) -> Claim | None:
    end = time.monotonic() + (WAIT_SECONDS if group == ALONE else 0.0)
    while True:
        found = _alone() if group == ALONE else _shared(group)
        if found is not None or time.monotonic() >= end:
            return found
        control.hold(STEP)


def _open(name: str) -> int:
    return os.open(control.folder() / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)


def _locked(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _group() -> str | None:
    """That of those who share the device, or the last ones did."""
    try:
        return (control.folder() / "group").read_text()
    except FileNotFoundError:
        return None


def _alone() -> Claim | None:
    descriptor = _open("lock")
    if _locked(descriptor, fcntl.LOCK_EX):
        return Claim(descriptor)
    os.close(descriptor)
    return None


def _shared(group: str) -> Claim | None:
    # One at a time, so that nobody reads the group's name before it is written.
    turn = _open("turn")
    fcntl.flock(turn, fcntl.LOCK_EX)
    try:
        descriptor = _open("lock")
        first = _locked(descriptor, fcntl.LOCK_EX)
        if first:
            (control.folder() / "group").write_text(group)
        if (first or _group() == group) and _locked(descriptor, fcntl.LOCK_SH):
            return Claim(descriptor)
        os.close(descriptor)
        return None
    finally:
        os.close(turn)

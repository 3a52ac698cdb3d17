"""What systemd is told, and what it hands over: sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3)."""

import contextlib
import os
import socket
from collections.abc import MutableMapping

_FIRST_FD = 3  # SD_LISTEN_FDS_START


def notify(*lines: str) -> None:
    """Send state such as "READY=1" to the service manager; does nothing where there is none, or none that listens.

    Whatever keeps a message from it (a full queue, a socket that is gone) must not end who sends it: the next one may arrive.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    # A leading @ stands for the zero byte of Linux's abstract names.
    name = "\0" + address[1:] if address.startswith("@") else address
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.sendto("\n".join(lines).encode(), name)


def inherited_socket(environ: MutableMapping[str, str] = os.environ) -> socket.socket | None:
    """The listening socket of the .socket unit, or None. The variables are removed, so that no child takes them for its own."""
    mine = environ.pop("LISTEN_PID", None) == str(os.getpid())
    count = int(environ.pop("LISTEN_FDS", "0"))
    environ.pop("LISTEN_FDNAMES", None)
    if not (mine and count):
        return None
    os.set_inheritable(_FIRST_FD, False)
    return socket.socket(fileno=_FIRST_FD)


def watchdog_seconds() -> float | None:
    """How often the watchdog wants to hear from this process at the least, in seconds; None when nobody watches."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    microseconds = int(os.environ.get("WATCHDOG_USEC", "0"))
    return microseconds / 1e6 or None

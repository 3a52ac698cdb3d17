"""Checks of the service from outside: who listens on its port, and whether it answers that it is ready."""

import http.client
import ipaddress
import json
import struct
from dataclasses import dataclass
from pathlib import Path

from ...accelerators.files import matching, opened, text
from .finding import Finding, broken, ok, warning
from .patient import Patient
from .unit import START

SECONDS = 3.0
STANDS_IN = {"engine_fallback_for": "engine", "fallback_for": "model"}
"""In what the service says: for what something stands in, and what."""
LISTENING = "0A"
OTHERWISE = "Stop it, or set server.port to another in /etc/hailo/hailo-whisper.yaml (and run `hailo-whisper config render` and `systemctl daemon-reload`)."
OURS = ("hailo-whisper", "hailo_whisper", "systemd")
"""In the command of who may listen: systemd holds the socket for the service."""


@dataclass(frozen=True)
class Listener:
    """Who listens; empty where this user may not see it."""

    pid: int | None
    name: str


def port(patient: Patient) -> list[Finding]:
    """Whether somebody listens on the port, and whether it is the service."""
    server = patient.settings.server
    place = f"{server.host} port {server.port}"
    sockets = listening(patient.root, server.host, server.port)
    if not sockets:
        if patient.installed:
            return [broken("port", f"nobody listens on {place}", f"{START}.")]
        return [ok("port", f"{place} is free")]
    who = listener(patient.root, sockets)
    if who is None:
        # Whoever it is answers for itself.
        if _asked(server.host, server.port, "/health"):
            return [ok("port", f"hailo-whisper listens on {place}")]
        cure = f"Run this as root to see who it is, or `ss -ltnp sport = :{server.port}`. {OTHERWISE} Then {START}."
        return [broken("port", f"somebody listens on {place} who is not hailo-whisper", cure)]
    if any(name in who.name for name in OURS):
        return [ok("port", f"{'systemd' if who.pid == 1 else 'hailo-whisper'} listens on {place} (process {who.pid})")]
    return [broken("port", f"{place} is taken by {who.name} (process {who.pid})", f"{OTHERWISE} Then {START}.")]


def ready(patient: Patient) -> list[Finding]:
    """What the service says of itself."""
    server = patient.settings.server
    if not listening(patient.root, server.host, server.port):
        return []
    answer = _asked(server.host, server.port, "/health/ready")
    if answer is None:
        return [
            broken(
                "ready",
                f"no answer within {SECONDS:.0f} s",
                "`systemctl restart hailo-whisper`; `journalctl -u hailo-whisper` tells what it was doing.",
            )
        ]
    status, body = answer
    state, reason = str(body.get("status")), body.get("reason")
    shown = f"{state}{f': {reason}' if reason else ''}"
    if status == http.HTTPStatus.OK and body.get("degraded"):
        instead = [f"{body.get(now)} instead of {body[own]}" for own, now in STANDS_IN.items() if body.get(own)]
        cure = "Something stands in for what was configured; what is said there, or in the other findings, mends it."
        return [warning("ready", f"{shown}, model {body.get('model')}, degraded: {', '.join(instead) or 'see the log'}", cure)]
    if status == http.HTTPStatus.OK:
        return [ok("ready", f"{shown}, model {body.get('model')}")]
    if state in ("loading", "draining"):
        return [warning("ready", shown, "Wait a moment, and look again.")]
    return [broken("ready", shown, "Do what it says; the service goes on by itself then.")]


def listening(root: Path, host: str, number: int) -> set[str]:
    """The inodes of the sockets that listen on the address or on all addresses, by /proc/net."""
    found = set()
    for name in ("tcp", "tcp6"):
        for line in (text(root / "proc/net" / name) or "").splitlines()[1:]:
            fields = line.split()
            if len(fields) < 10 or fields[3] != LISTENING:
                continue
            address, _, hexed = fields[1].rpartition(":")
            if int(hexed, 16) == number and _meant(address, host):
                found.add(fields[9])
    return found


def listener(root: Path, inodes: set[str]) -> Listener | None:
    """Who has one of the sockets open; the service's own process before systemd, which has it too. None: not to be seen."""
    wanted = {f"socket:[{inode}]" for inode in inodes}
    found = []
    for folder in matching(root / "proc", "[0-9]*"):
        if opened(folder) & wanted:
            command = (text(folder / "cmdline") or "").replace("\0", " ").strip()
            found.append(Listener(int(folder.name), command or text(folder / "comm") or "a program"))
    return max(found, key=lambda one: one.pid or 0, default=None)


def _meant(hexed: str, host: str) -> bool:
    """Whether a socket on the address (as /proc/net writes it: words in the machine's order) gets what is sent to the host."""
    words = [int(hexed[at : at + 8], 16) for at in range(0, len(hexed), 8)]
    address = ipaddress.ip_address(struct.pack(f"={len(words)}I", *words))
    wanted = ipaddress.ip_address(host)
    mapped = getattr(address, "ipv4_mapped", None)
    return address.is_unspecified or wanted.is_unspecified or wanted in (address, mapped)


def _asked(host: str, number: int, path: str) -> tuple[int, dict[str, object]] | None:
    """What a hailo-whisper answers; None for no answer in time, or that of another program."""
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        host = "127.0.0.1" if address.version == 4 else "::1"
    connection = http.client.HTTPConnection(host, number, timeout=SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = json.loads(response.read(1 << 16))
        return (response.status, body) if isinstance(body, dict) and "status" in body else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()

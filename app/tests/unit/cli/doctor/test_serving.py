import contextlib
import http.server
import json
import socket
import struct
import threading
from collections.abc import Iterator
from ipaddress import ip_address

import pytest
from machines import FakeMachine
from patients import WELL, patient

from hailo_whisper.cli.doctor import serving
from hailo_whisper.cli.doctor.finding import State

HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def _listens(machine: FakeMachine, address: str, port: int, inode: int = 777, state: str = "0A") -> None:
    packed = ip_address(address).packed
    hexed = "".join(f"{word:08X}" for word in struct.unpack(f"={len(packed) // 4}I", packed))
    name = "tcp" if len(packed) == 4 else "tcp6"
    line = f"   0: {hexed}:{port:04X} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000   990        0 {inode} 1 0\n"
    machine.write(f"proc/net/{name}", HEADER + line)


def _process(machine: FakeMachine, pid: int, command: str, inode: int = 777) -> None:
    (machine.root / f"proc/{pid}/fd").mkdir(parents=True)
    (machine.root / f"proc/{pid}/fd/3").symlink_to(f"socket:[{inode}]")
    machine.write(f"proc/{pid}/cmdline", command.replace(" ", "\0"))


@pytest.mark.parametrize(
    ("listens", "host", "meant"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("0.0.0.0", "127.0.0.1", True),
        ("::", "127.0.0.1", True),
        ("::1", "::1", True),
        ("::ffff:127.0.0.1", "127.0.0.1", True),
        ("192.0.2.7", "127.0.0.1", False),
        ("192.0.2.7", "0.0.0.0", True),
    ],
)
def test_who_gets_what_is_sent_to_an_address(machine: FakeMachine, listens: str, host: str, meant: bool) -> None:
    _listens(machine, listens, 11437)
    assert bool(serving.listening(machine.root, host, 11437)) == meant
    assert not serving.listening(machine.root, host, 11438)
    _listens(machine, listens, 11437, state="01")
    assert not serving.listening(machine.root, host, 11437), "a connection is no listener"


def test_this_machines_own_sockets_are_seen() -> None:
    from pathlib import Path

    with socket.create_server(("127.0.0.1", 0)) as server:
        root, port = Path("/"), server.getsockname()[1]
        inodes = serving.listening(root, "127.0.0.1", port)
        assert len(inodes) == 1
        who = serving.listener(root, inodes)
        assert who
        assert "python" in who.name


def test_nobody_listens(machine: FakeMachine) -> None:
    (found,) = serving.port(patient(machine))
    assert (found.state, found.found) == (State.OK, "127.0.0.1 port 11437 is free")
    (found,) = serving.port(patient(machine, service=WELL))
    assert (found.state, "systemctl enable --now" in str(found.cure)) == (State.BROKEN, True)
    assert serving.ready(patient(machine)) == []


@pytest.mark.parametrize(
    ("pid", "command", "state", "shown"),
    [
        (1, "/lib/systemd/systemd --system", State.OK, "systemd listens"),
        (4711, "/opt/hailo-whisper/venv/bin/python -m hailo_whisper serve", State.OK, "hailo-whisper listens"),
        (4711, "nginx: master process", State.BROKEN, "taken by nginx: master process (process 4711)"),
    ],
)
def test_who_listens(machine: FakeMachine, pid: int, command: str, state: State, shown: str) -> None:
    _listens(machine, "127.0.0.1", 11437)
    (machine.root / "proc/9/fd").mkdir(parents=True)
    _process(machine, pid, command)
    (found,) = serving.port(patient(machine))
    assert (found.state, shown in found.found) == (state, True), found


class Handler(http.server.BaseHTTPRequestHandler):
    answer: tuple[int, bytes] = (200, b"{}")

    def do_GET(self) -> None:
        status, body = type(self).answer
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def _answering(status: int, body: bytes) -> Iterator[int]:
    handler = type("Answering", (Handler,), {"answer": (status, body)})
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "body", "state", "shown"),
    [
        (200, {"status": "ready", "reason": None, "model": "base"}, State.OK, "ready, model base"),
        (
            200,
            {
                "status": "ready",
                "model": "tiny",
                "degraded": True,
                "engine": "ctranslate2",
                "engine_fallback_for": "hailo",
                "fallback_for": "base",
            },
            State.WARNING,
            "ready, model tiny, degraded: ctranslate2 instead of hailo, tiny instead of base",
        ),
        (503, {"status": "loading", "reason": "Wait."}, State.WARNING, "loading: Wait."),
        (503, {"status": "failed", "reason": "The model is missing."}, State.BROKEN, "failed: The model is missing."),
        (200, [], State.BROKEN, "no answer"),
    ],
)
def test_what_the_service_says(machine: FakeMachine, status: int, body: object, state: State, shown: str) -> None:
    with _answering(status, json.dumps(body).encode()) as port:
        _listens(machine, "0.0.0.0", port)
        (found,) = serving.ready(patient(machine, server={"port": port, "host": "0.0.0.0"}, access={"insecure": True}))
    assert (found.state, shown in found.found) == (state, True), found


@pytest.mark.parametrize(("body", "state"), [(b'{"status": "ok"}', State.OK), (b"<html>", State.BROKEN)])
def test_a_listener_that_this_user_may_not_see_answers_for_itself(machine: FakeMachine, body: bytes, state: State) -> None:
    with _answering(200, body) as port:
        _listens(machine, "127.0.0.1", port)
        (found,) = serving.port(patient(machine, server={"port": port}, is_root=False))
    assert (found.state, found.cure is None or "ss -ltnp" in found.cure) == (state, True), found


def test_one_that_is_silent_is_not_waited_for_long(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        _listens(machine, "127.0.0.1", port)
        (found,) = serving.ready(patient(machine, server={"port": port}))
    assert (found.state, "no answer within" in found.found) == (State.BROKEN, True)

"""`hailo-whisper serve`: the service itself, on the socket that systemd handed over or on one of its own."""

import argparse
import asyncio
import ipaddress
import socket
import sys
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI

from .. import settings as configuration
from ..api import app as api
from ..api import connection
from ..engines.supervisor import State, Supervisor
from ..engines.warm_up import warm_up
from ..failure import Failure
from ..scheduling.scheduler import Scheduler
from ..service import log, notify
from ..service.metrics import Metrics
from ..settings import Settings
from ..speech.decoder import Decoder
from . import assembly
from .assembly import ENGINE

# The unit's TimeoutStopSec is a little longer.
DRAIN_SECONDS = 30


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `serve`."""
    parser = subparsers.add_parser("serve", help="run the service")
    parser.add_argument("--config", type=Path, metavar="FILE", help="read this file instead of searching the XDG folders")
    parser.add_argument("--engine", default=ENGINE, help=argparse.SUPPRESS)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT, then let the requests in flight finish."""
    settings = configuration.load(args.config)
    log.configure(settings.log.format, transcripts=settings.log.transcripts)
    metrics = Metrics()
    listener = notify.inherited_socket() or _listen(settings)
    supervisor = Supervisor(
        assembly.launch(settings, args.engine, warm_up(settings.transcription.beam)), assembly.patience(settings), metrics
    )
    scheduler = Scheduler(supervisor, settings, metrics)
    metrics.watch_worker(lambda: supervisor.pid)
    decoder = Decoder(settings.limits.duration_seconds, settings.limits.deadline_seconds)
    application = api.create(settings, supervisor, scheduler, decoder, created=lambda: _created(settings), counts=metrics)
    asyncio.run(_serve(application, listener, settings))
    return 0


def _created(settings: Settings) -> int:
    folder = assembly.model_folder(settings)
    return int(folder.stat().st_mtime) if folder.is_dir() else 0


class _Server(uvicorn.Server):
    """Says that it is going before it goes, so that a balancer sends the next request elsewhere."""

    def __init__(self, config: uvicorn.Config, application: FastAPI) -> None:
        super().__init__(config)
        self._application = application

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        notify.notify("STOPPING=1", "STATUS=draining")
        self._application.state.draining = True
        super().handle_exit(sig, frame)


async def _serve(application: FastAPI, listener: socket.socket, settings: Settings) -> None:
    config = uvicorn.Config(
        application,
        http=connection.protocol(settings.limits.stall_seconds),
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        server_header=False,
    )
    server = _Server(config, application)
    watcher = asyncio.create_task(_tell_systemd(application.state.supervisor, settings))
    try:
        await server.serve(sockets=[listener])
    finally:
        watcher.cancel()


async def _tell_systemd(supervisor: Supervisor, settings: Settings) -> None:
    """READY=1 when the warm-up is over, then the state as the unit's status, and the watchdog as long as all is well.

    A model that is missing does not keep the unit from starting: it stays up, its status and /health/ready say what to do,
    and it goes on by itself when that was done.
    """
    # The supervisor has a deadline of its own for loading; systemd's must not come first.
    notify.notify(f"EXTEND_TIMEOUT_USEC={int((settings.limits.load_seconds + 60) * 1e6)}", "STATUS=loading the model")
    await supervisor.settled()
    notify.notify("READY=1", _status(supervisor, settings))
    interval = min((notify.watchdog_seconds() or 10.0) / 3, 5.0)
    while True:
        await asyncio.sleep(interval)
        notify.notify(_status(supervisor, settings), *(["WATCHDOG=1"] if supervisor.answering else []))


def _status(supervisor: Supervisor, settings: Settings) -> str:
    if supervisor.state is State.READY:
        return f"STATUS=ready: model {settings.model.name}"
    return f"STATUS={supervisor.state}: {supervisor.reason or settings.model.name}"


def _listen(settings: Settings) -> socket.socket:
    host, port = settings.server.host, settings.server.port
    family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        # 2048 is uvicorn's own default.
        sock.listen(2048)
    except OSError as error:
        sock.close()
        raise Failure(f"Cannot listen on {host} port {port}: {error.strerror}. Free it, or set server.port to another.") from None
    print(f"hailo-whisper listens on http://{host}:{port}", file=sys.stderr, flush=True)
    return sock

"""`hailo-whisper serve`: the service itself, on the socket that systemd handed over or on one of its own."""

import argparse
import asyncio
import ipaddress
import signal
import socket
import sys
from pathlib import Path

import uvicorn

from .. import settings as configuration
from ..accelerators.machine import signs
from ..api import app as api
from ..api import connection
from ..engines.launch import Found
from ..engines.warm_up import warm_up
from ..failure import Failure
from ..scheduling.lineup import Lineup
from ..service import log, notify
from ..service.metrics import Metrics
from ..settings import Settings
from ..speech.decoder import Decoder
from . import assembly, exposure
from .drain import DrainingServer
from .service import Service

# Longer than the clients of the OpenAI SDKs keep a connection (5 s): who closes last does not close under a request's feet.
KEEP_ALIVE_SECONDS = 30


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `serve`."""
    parser = subparsers.add_parser("serve", help="run the service")
    parser.add_argument("--config", type=Path, metavar="FILE", help="read this file instead of searching the XDG folders")
    parser.add_argument("--engine", help=argparse.SUPPRESS)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT, then let the requests in flight finish."""
    settings = configuration.load(args.config)
    log.configure(settings.log.format, transcripts=settings.log.transcripts)
    # Before an engine is chosen by them.
    devices = signs()
    metrics = Metrics()
    listener = _listener(settings)
    words = warm_up(settings.transcription.beam)
    launch = assembly.launch(settings, args.engine, words)
    lineup = Lineup(assembly.hosted(launch, settings, metrics), metrics, assembly.memory_mb(settings))
    for name in assembly.offered(settings):
        further = assembly.launch(settings, args.engine, words, name, chosen=launch.kind)
        lineup.offer(assembly.hosted(further, settings, metrics, on_demand=True))
    metrics.watch_worker(lambda: lineup.default.supervisor.pid)
    metrics.watch_memory(lineup.workers)
    metrics.watch_models(lineup.loaded)
    limits, keep_alive = settings.limits, settings.model.keep_alive
    decoder = Decoder(limits.duration_seconds, limits.deadline_seconds, metrics, keep_alive=keep_alive)
    app = api.create(settings, lineup, decoder, created=_created, counts=metrics)
    service = Service(
        settings,
        launch,
        lineup,
        decoder,
        app,
        load=lambda: configuration.load(args.config),
        engine=args.engine,
        exposed=exposure.exposed(listener),
    )
    asyncio.run(_serve(service, listener, devices))
    return 0


def _created(found: Found) -> int:
    return int(found.path.stat().st_mtime) if found.path.exists() else 0


async def _serve(service: Service, listener: socket.socket, devices: object) -> None:
    config = uvicorn.Config(
        service.app,
        http=connection.protocol(service.settings.limits.stall_seconds),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    server = DrainingServer(config, leaving=service.leave, give_up=service.lineup.stop)
    # What is wrong with the keys stands in the journal before the first request comes.
    await service.app.state.keyring.look(service.settings.access.keys)
    tasks = {asyncio.create_task(service.tell_systemd()), asyncio.create_task(service.look_for_devices(devices))}

    def reload() -> None:
        # Kept in a set, because the loop itself keeps no task alive.
        task = asyncio.create_task(service.reload())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    # Of a terminal, it says that the terminal is gone.
    if not sys.stdin.isatty():
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)
    try:
        await server.serve(sockets=[listener])
    finally:
        for task in tasks:
            task.cancel()


def _listener(settings: Settings) -> socket.socket:
    """The socket of systemd, or one of our own. Raises Failure when it would let strangers in without a key."""
    inherited = notify.inherited_socket()
    if inherited:
        exposure.check_listener(inherited, settings.access)
        return inherited
    exposure.check(settings)
    return _listen(settings)


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

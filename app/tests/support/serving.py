"""Servers to test: in this process, or as an administrator starts one; both with the scripted engine in a real worker."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import yaml
from fastapi import FastAPI
from polling import eventually, until
from ports import free_port as free_port  # noqa: PLC0414 (the tests have it from here)

from hailo_whisper.api import app as api
from hailo_whisper.engines.launch import Found, Launch, Patience
from hailo_whisper.engines.supervisor import Supervisor
from hailo_whisper.engines.warm_up import clip, warm_up
from hailo_whisper.scheduling.lineup import Hosted, Lineup
from hailo_whisper.scheduling.scheduler import Scheduler
from hailo_whisper.service.metrics import Metrics
from hailo_whisper.settings import parse
from hailo_whisper.speech.decoder import Decoder

# Hands over a socket as systemd does: as descriptor 3 of the process whose id is in LISTEN_PID.
LAUNCHER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""

ENGINE = "scripted_engine:ScriptedEngine"
PATH = "/v1/audio/transcriptions"
# For what is not to fail by being slow.
AMPLE = Patience(load=60, batch=60, factor=0, keep_alive=-1, start=60)


def fields(**more: str) -> dict[str, str]:
    """The fields of a request beside the file."""
    return {"model": "whisper-1"} | more


@dataclass
class Served:
    """An application that runs in this process."""

    app: FastAPI
    client: httpx.AsyncClient
    supervisor: Supervisor
    scheduler: Scheduler
    decoder: Decoder
    metrics: Metrics
    lineup: Lineup

    async def transcribe(self, prompt: str = "", **more: str) -> httpx.Response:
        """Send the clip."""
        files = {"file": ("clip.wav", clip())}
        return await self.client.post(PATH, files=files, data=fields(prompt=prompt, **more))

    async def send(self, content: bytes, prompt: str = "", **more: str) -> httpx.Response:
        """Send another recording."""
        return await self.client.post(PATH, files={"file": ("a.wav", content)}, data=fields(prompt=prompt, **more))

    async def assert_serves(self, words: str) -> None:
        """See that the clip is transcribed."""
        response = await self.transcribe()
        assert (response.status_code, response.json().get("text")) == (200, words), response.text

    async def under_way(self, model: Path, prompt: str = "wait go") -> "asyncio.Task[httpx.Response]":
        """Start a request, and come back when the engine is at it."""
        task = asyncio.create_task(self.transcribe(prompt))
        await eventually((model / "waiting").exists)
        return task

    async def health(self) -> int:
        """Status of /health."""
        return (await self.client.get("/health")).status_code

    async def readiness(self) -> tuple[int, dict[str, Any]]:
        """Status and body of /health/ready."""
        response = await self.client.get("/health/ready")
        return response.status_code, response.json()

    async def until_ready(self) -> None:
        """Wait for 200."""

        async def ready() -> bool:
            return (await self.readiness())[0] == 200

        await eventually(ready)

    async def until_state(self, state: str) -> None:
        """Wait for a state of readiness."""

        async def there() -> bool:
            return bool((await self.readiness())[1]["status"] == state)

        await eventually(there)


@contextlib.asynccontextmanager
async def serving(
    model: Path | Callable[[], Path | Found],
    *,
    patience: Patience = AMPLE,
    config: Mapping[str, Any] | None = None,
    engine: str = ENGINE,
    offered: Mapping[str, Callable[[], Found]] | None = None,
    group: str = "UNIQUE",
    device_wait: float = 30.0,
    stand_in: Path | Callable[[], Path | Found] | None = None,
) -> AsyncIterator[Served]:
    """Run the application with its lifespan. `model` is a folder or file, or what the supervisor calls to find one.

    With the model of a `stand_in`, the scripted engine is the CPU that may serve in place of `engine`, which is the NPU.
    """
    settings = parse(dict(config or {}), "test")

    def finding(model: Path | Callable[[], Path | Found]) -> Callable[[], Found]:
        def prepare() -> Found:
            found = model if isinstance(model, Path) else model()
            return found if isinstance(found, Found) else Found(settings.model.name, found)

        return prepare

    clip_to_hear = warm_up(settings.transcription.beam)
    launch = Launch(
        settings.model.name,
        engine,
        finding(model),
        settings.model.compute_type,
        settings.model.threads,
        clip_to_hear,
        group=group,
        device_wait=device_wait,
    )
    if stand_in:
        cpu = replace(launch, engine=ENGINE, prepare=finding(stand_in), kind="ctranslate2", processor="the CPU")
        launch = replace(launch, kind="hailo", processor="the Hailo NPU", stand_in=cpu)
    metrics = Metrics()
    supervisor = Supervisor(launch, patience, metrics)
    scheduler = Scheduler(supervisor, settings, metrics)
    scheduler.start_seconds = patience.start
    lineup = Lineup(Hosted(supervisor, scheduler), metrics, settings.models.memory_mb)
    for name, found in (offered or {}).items():
        further = Supervisor(replace(launch, model=name, prepare=found), patience, metrics, on_demand=True)
        queue = Scheduler(further, settings, metrics)
        queue.start_seconds = patience.start
        lineup.offer(Hosted(further, queue))
    decoder = Decoder(settings.limits.duration_seconds, 60, metrics)
    app = api.create(settings, lineup, decoder, created=lambda _: 1234567890, counts=metrics)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    with clip_to_hear.waveform:
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://test", timeout=120) as client,
        ):
            yield Served(app, client, supervisor, scheduler, decoder, metrics, lineup)


@dataclass
class ServerProcess:
    """A server that was started by `python -m hailo_whisper serve`."""

    process: "subprocess.Popen[bytes]"
    client: httpx.Client
    log: Path

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self.process.pid

    def children(self) -> list[int]:
        """Process ids of the server's children."""
        text = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(pid) for pid in text.split()]

    @property
    def worker(self) -> int | None:
        """Process id of the worker, while there is one."""
        for pid in self.children():
            with contextlib.suppress(OSError):
                if b"hailo_whisper.engines.worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return pid
        return None

    def ready(self) -> bool:
        """Whether it says that it is."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.client.get("/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    def transcribe(self, media: bytes | None = None, name: str = "clip.wav", /, **more: str) -> httpx.Response:
        """Send the clip, or other media."""
        return self.client.post(PATH, files={"file": (name, clip() if media is None else media)}, data=fields(**more))


def write_config(folder: Path, model: Path, port: int, more: Mapping[str, dict[str, Any]] | None = None) -> Path:
    """A configuration as an administrator writes it."""
    config: dict[str, Any] = {"server": {"port": port}, "model": {"path": str(model)}, "storage": {"models": str(folder)}}
    for name, section in (more or {}).items():
        config[name] = config.get(name, {}) | section
    path = folder / "hailo-whisper.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def command(config: Path) -> list[str]:
    """How the server is started."""
    return [sys.executable, "-m", "hailo_whisper", "serve", "--config", str(config), "--engine", ENGINE]


@contextlib.contextmanager
def server_process(
    folder: Path,
    model: Path,
    *,
    argv: Callable[[Path], list[str]] = command,
    port: int | None = None,
    environ: Mapping[str, str] | None = None,
    pass_fds: tuple[int, ...] = (),
    more: Mapping[str, dict[str, Any]] | None = None,
) -> Iterator[ServerProcess]:
    """Start a server; end it, by force if it must be, when the test is over."""
    port = port or free_port()
    config = write_config(folder, model, port, more)
    log = folder / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            argv(config), stderr=stream, stdin=subprocess.DEVNULL, env=os.environ | dict(environ or {}), pass_fds=pass_fds
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
            yield ServerProcess(process, client, log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def alive(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def until_gone(*pids: int) -> None:
    """Wait until the processes have ended."""
    until(lambda: not any(map(alive, pids)))

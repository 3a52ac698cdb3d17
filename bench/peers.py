"""What is measured: faster-whisper in process, Wyoming's server, our own, and any server that speaks as OpenAI's does.

A target knows how to start itself; what it gives, a `Running`, transcribes a clip and can be ended. All of them get the same model's
bytes, the same number of threads, int8 and beam 5 where they can be told, and else their defaults.
"""

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx
import yaml

from . import wyoming
from .corpus import CACHE, Clip
from .process import Process, ProcessFailed, free_port, listener

PROJECT = Path(__file__).resolve().parent.parent
WYOMING = "wyoming-faster-whisper==3.8.1"
# What both sides import: Wyoming's server gets the versions that are measured in process.
SHARED = ("faster-whisper", "ctranslate2", "onnxruntime", "av", "numpy", "tokenizers")
START_SECONDS = 180.0
OURS = "hailo-whisper"


class Failed(Exception):
    """A target gave no transcript."""


class NotYet(Failed):
    """It gave none because it is still starting."""


@dataclass(frozen=True)
class Reply:
    """What came of a request: the text, or why there is none, after so many seconds."""

    text: str | None
    seconds: float
    error: str | None = None


class Running(Protocol):
    """A target that was started."""

    name: str
    serves: bool
    """Whether it takes several requests at once."""

    @property
    def pid(self) -> int | None:
        """Process whose tree holds its memory; None: it is not on this machine."""
        ...

    def transcribe(self, clip: Clip, timeout: float) -> str:
        """The text of a clip. Raises NotYet, Failed, ProcessFailed."""
        ...

    def answers(self) -> bool:
        """Whether somebody who knocks gets an answer, be it that it is not ready."""
        ...

    def end(self) -> None:
        """End what was started."""
        ...


class Target(Protocol):
    """Something that can be measured."""

    name: str

    def start(self) -> Running:
        """Start it, without waiting until it is ready."""
        ...


def ask(running: Running, clip: Clip, timeout: float) -> Reply:
    """Have a clip transcribed, and take the time."""
    began = time.monotonic()
    try:
        text = running.transcribe(clip, timeout)
    except (Failed, ProcessFailed) as error:
        return Reply(None, time.monotonic() - began, str(error))
    return Reply(text, time.monotonic() - began)


def first_words(running: Running, clip: Clip, seconds: float = START_SECONDS) -> str:
    """Ask until it has started. Raises Failed when it has not in time."""
    end = time.monotonic() + seconds
    while True:
        try:
            return running.transcribe(clip, seconds)
        except NotYet as error:
            if time.monotonic() > end:
                raise Failed(f"{running.name} did not start within {seconds:.0f} s: {error}") from None
            time.sleep(0.01)


class _InChild:
    """One file after the other, through pipes."""

    serves = False

    def __init__(self, name: str, argv: list[str], log: Path) -> None:
        self.name = name
        self._process = Process(argv, log, environ=_environ(), talks=True)

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def transcribe(self, clip: Clip, timeout: float) -> str:
        """The text of a clip; `timeout` has no meaning to a call of a library."""
        stdin, stdout = self._process.popen.stdin, self._process.popen.stdout
        assert stdin is not None and stdout is not None  # noqa: S101  # it talks
        try:
            stdin.write(json.dumps({"path": str(clip.path), "language": clip.language}).encode() + b"\n")
            stdin.flush()
            line = stdout.readline()
        except OSError:
            line = b""
        if not line:
            self._process.popen.wait()
            self._process.check()
        reply = json.loads(line)
        if "error" in reply:
            raise Failed(reply["error"])
        return str(reply["text"])

    def answers(self) -> bool:
        return True

    def end(self) -> None:
        self._process.end()


class _Wyoming:
    """A server that speaks Wyoming."""

    serves = True

    def __init__(self, name: str, port: int, process: Process) -> None:
        self.name = name
        self._port, self._process = port, process

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def transcribe(self, clip: Clip, timeout: float) -> str:
        try:
            return wyoming.transcribe("127.0.0.1", self._port, clip.path, clip.language, timeout)
        except ConnectionRefusedError as error:
            self._process.check()
            raise NotYet(str(error)) from None
        except (OSError, ValueError) as error:
            raise Failed(f"{type(error).__name__}: {error}") from None

    def answers(self) -> bool:
        self._process.check()
        return listener(self._port) is not None

    def end(self) -> None:
        self._process.end()


class OpenAIServer:
    """A server with the route /v1/audio/transcriptions."""

    serves = True

    def __init__(self, name: str, url: str, model: str, process: Process | None, folder: Any = None) -> None:
        """`folder` is a temporary one that goes when the server does."""
        self.name = name
        self._url, self._model, self._process, self._folder = url.rstrip("/"), model, process, folder
        # A connection of its own for each request, since servers end idle ones at moments of their own choosing.
        self._client = httpx.Client(trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))

    @property
    def pid(self) -> int | None:
        if self._process:
            return self._process.pid
        parts = urlsplit(self._url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return listener(port) if parts.hostname in ("127.0.0.1", "localhost", "::1") else None

    def transcribe(self, clip: Clip, timeout: float) -> str:
        fields = {"model": self._model, "language": clip.language, "response_format": "json"}
        try:
            with clip.path.open("rb") as file:
                files = {"file": (clip.path.name, file, "audio/wav")}
                url = f"{self._url}/v1/audio/transcriptions"
                response = self._client.post(url, data=fields, files=files, timeout=timeout)
        except httpx.ConnectError as error:
            self._check()
            raise NotYet(str(error)) from None
        except httpx.HTTPError as error:
            raise Failed(f"{type(error).__name__}: {error}") from None
        if response.status_code == 503:
            raise NotYet(response.text[:500])
        try:
            return str(response.raise_for_status().json()["text"]).strip()
        except (httpx.HTTPStatusError, ValueError, KeyError):
            raise Failed(f"status {response.status_code}: {response.text[:500]}") from None

    def get(self, path: str) -> str:
        """The body of a page of the server. Raises Failed."""
        try:
            return self._client.get(f"{self._url}{path}", timeout=10).raise_for_status().text
        except httpx.HTTPError as error:
            raise Failed(f"{path}: {type(error).__name__}: {error}") from None

    def answers(self) -> bool:
        self._check()
        try:
            self._client.get(f"{self._url}/health", timeout=5)
        except httpx.HTTPError:
            return False
        return True

    def _check(self) -> None:
        if self._process:
            self._process.check()

    def end(self) -> None:
        self._client.close()
        if self._process:
            self._process.end()
        if self._folder:
            self._folder.cleanup()


@dataclass(frozen=True)
class FasterWhisper:
    """The library in a child; `way` is "sequential" (`WhisperModel.transcribe`) or "batched" (`BatchedInferencePipeline`)."""

    name: str
    model: Path
    way: str
    threads: int

    def start(self) -> Running:
        argv = [sys.executable, "-m", "bench.inprocess", str(self.model), self.way, str(self.threads)]
        return _InChild(self.name, argv, _log(self.name))


@dataclass(frozen=True)
class WyomingServer:
    """wyoming-faster-whisper from the package index, in an environment of its own in the cache."""

    name: str
    model: Path
    threads: int
    language: str

    def start(self) -> Running:
        port = free_port()
        argv = [str(_wyoming_environment() / "bin/python"), "-m", "wyoming_faster_whisper", "--uri", f"tcp://127.0.0.1:{port}"]
        argv += ["--model", str(self.model), "--data-dir", str(self.model.parent), "--local-files-only", "--language", self.language]
        argv += ["--compute-type", "int8", "--cpu-threads", str(self.threads)]
        return _Wyoming(self.name, port, Process(argv, _log(self.name)))


@dataclass(frozen=True)
class Ours:
    """This tree's server, with its own defaults."""

    model: Path
    threads: int
    engine: str | None = None
    keep_alive: int = -1
    name: str = OURS

    def start(self) -> Running:
        folder = tempfile.TemporaryDirectory(prefix="hailo-whisper-bench-")
        port = free_port()
        config: dict[str, Any] = {
            "server": {"port": port},
            "model": {"path": str(self.model), "threads": self.threads, "keep_alive": self.keep_alive},
            "storage": {"models": folder.name, "cache": folder.name},
        }
        path = Path(folder.name) / "hailo-whisper.yaml"
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        argv = [sys.executable, "-m", "hailo_whisper", "serve", "--config", str(path)]
        argv += ["--engine", self.engine] if self.engine else []
        process = Process(argv, _log(self.name), environ=_environ())
        return OpenAIServer(self.name, f"http://127.0.0.1:{port}", "whisper-1", process, folder)


@dataclass(frozen=True)
class Given:
    """A server that runs already, or that `command` starts."""

    name: str
    url: str
    model: str
    command: str | None = None

    def start(self) -> Running:
        process = Process(shlex.split(self.command), _log(self.name)) if self.command else None
        return OpenAIServer(self.name, self.url, self.model, process)


def _log(name: str) -> Path:
    folder = CACHE / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.log"
    path.write_bytes(b"")
    return path


def _environ() -> Mapping[str, str]:
    """For programs of this tree: where the modules are, wherever the bench was started."""
    paths = [str(PROJECT), str(PROJECT / "app/src"), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {"PYTHONPATH": os.pathsep.join(paths)}


def _wyoming_environment() -> Path:
    """A virtual environment with Wyoming's server, made once for each set of versions."""
    pins = [f"{name}=={metadata.version(name)}" for name in SHARED]
    folder = CACHE / ("-".join([WYOMING.replace("==", "-"), *(pin.rpartition("==")[2] for pin in pins)]))
    if not (folder / "complete").exists():
        print(f"==> Installing {WYOMING} into {folder}", file=sys.stderr)
        for command in (
            [sys.executable, "-m", "venv", "--clear", str(folder)],
            [str(folder / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", WYOMING, *pins],
        ):
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            if done.returncode:
                raise Failed(f"{WYOMING} could not be installed: {done.stdout.strip()[-1000:]}")
        (folder / "complete").touch()
    return folder

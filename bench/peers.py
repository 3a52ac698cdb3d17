"""What is measured: faster-whisper in process, Wyoming's server, our own, and any server that speaks as OpenAI's does.

All of them get the same model's bytes, the same number of threads, the same device, int8 (on a GPU int8_float16) and beam 5 where they can be
told, and else their defaults.
"""

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import yaml

from .corpus import CACHE
from .process import Process, free_port
from .running import Child, Failed, OpenAIServer, Running, WyomingServer

PROJECT = Path(__file__).resolve().parent.parent
WYOMING = "wyoming-faster-whisper==3.8.1"
# What both sides import: Wyoming's server gets the versions that are measured in process.
SHARED = ("faster-whisper", "ctranslate2", "onnxruntime", "av", "numpy", "tokenizers")
OURS = "hailo-whisper"
COMPUTE_TYPES = {"cpu": "int8", "cuda": "int8_float16"}
"""By the device."""


class Target(Protocol):
    """Something that can be measured."""

    @property
    def name(self) -> str:
        """What it is called in the tables."""
        ...

    def start(self) -> Running:
        """Start it, without waiting until it is ready."""
        ...


@dataclass(frozen=True)
class FasterWhisper:
    """The library in a child; `way` is "sequential" (`WhisperModel.transcribe`) or "batched" (`BatchedInferencePipeline`)."""

    name: str
    model: Path
    way: str
    threads: int
    device: str = "cpu"

    def start(self) -> Running:
        """Start the child."""
        argv = [sys.executable, "-m", "bench.inprocess", str(self.model), self.way, str(self.threads)]
        argv += [self.device, COMPUTE_TYPES[self.device]]
        return Child(self.name, Process(argv, _log(self.name), environ=_environ(), talks=True))


@dataclass(frozen=True)
class Wyoming:
    """wyoming-faster-whisper from the package index, in an environment of its own in the cache."""

    name: str
    model: Path
    threads: int
    language: str
    device: str = "cpu"

    def start(self) -> Running:
        """Install it when it is not there, and start it on a free port."""
        port = free_port()
        argv = [str(_wyoming_environment() / "bin/python"), "-m", "wyoming_faster_whisper", "--uri", f"tcp://127.0.0.1:{port}"]
        argv += [
            "--model",
            str(self.model),
            "--data-dir",
            str(self.model.parent),
            "--local-files-only",
            "--language",
            self.language,
        ]
        argv += ["--device", self.device, "--compute-type", COMPUTE_TYPES[self.device], "--cpu-threads", str(self.threads)]
        return WyomingServer(self.name, port, Process(argv, _log(self.name)))


@dataclass(frozen=True)
class Ours:
    """The server of this tree, with its own defaults."""

    model: Path
    threads: int
    engine: str | None = None
    keep_alive: int = -1
    name: str = OURS
    device: str = "cpu"

    def start(self) -> Running:
        """Start it on a free port with a configuration of its own."""
        folder = tempfile.TemporaryDirectory(prefix="hailo-whisper-bench-")
        port = free_port()
        config: dict[str, Any] = {
            "server": {"port": port},
            "model": {"path": str(self.model), "threads": self.threads, "keep_alive": self.keep_alive},
            "storage": {"models": folder.name, "cache": folder.name},
        }
        if self.device == "cuda":
            # Insisted on: the CPU in its place would be measured for it.
            config["engine"] = {"kind": "cuda"}
            config["model"]["compute_type"] = COMPUTE_TYPES["cuda"]
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
        """Start it, if it is the bench's to start."""
        process = Process(shlex.split(self.command), _log(self.name)) if self.command else None
        return OpenAIServer(self.name, self.url, self.model, process)


def _log(name: str) -> Path:
    folder = CACHE / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.log"
    path.write_bytes(b"")
    return path


def _environ() -> Mapping[str, str]:
    """For programs of this tree: where the modules are, and no setting but those of the bench."""
    paths = [str(PROJECT), str(PROJECT / "app/src"), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HAILO_WHISPER_", "WHISPER_MODEL_PATH"))}
    return kept | {"PYTHONPATH": os.pathsep.join(paths)}


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

"""`hailo-whisper transcribe` as somebody calls it, with the scripted engine."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving import ENGINE, write_config

from hailo_whisper.engines.warm_up import clip


def recordings(folder: Path, *names: str) -> list[Path]:
    """The clip under several names."""
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(clip())
    return paths


@dataclass
class Caller:
    """Somebody with a configuration in a folder of their own."""

    folder: Path
    model: Path
    before: Sequence[str] = ()
    """What the command is started by."""

    def argv(self, *args: object, local: bool = True) -> list[str]:
        """The whole command."""
        config = write_config(self.folder, self.model, 1)
        own = ["--config", str(config), "--engine", ENGINE] if local else []
        return [*self.before, sys.executable, "-m", "hailo_whisper", "transcribe", *own, *map(str, args)]

    def start(self, *args: object, **more: Any) -> "subprocess.Popen[str]":
        """Begin, in a process group of its own as a shell has it."""
        return subprocess.Popen(
            self.argv(*args, **more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def call(self, *args: object, **more: Any) -> "subprocess.CompletedProcess[str]":
        """Run to the end."""
        return subprocess.run(self.argv(*args, **more), capture_output=True, text=True, timeout=120, check=False)


def interrupt(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """Press Ctrl-C, which reaches the whole group. Gives the exit status and what was said."""
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=60)
    return process.returncode, told

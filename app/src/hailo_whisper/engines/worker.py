"""The worker's process: hosts one engine and its model, and does what the supervisor asks, one thing at a time.

It may hold the GIL, hang or crash: the server never waits for it without a deadline.
"""

import contextlib
import importlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..service import child
from ..service.channel import Message
from ..speech.waveform import Waveform
from .engine import Engine, ModelConfig, Options, Strain
from .trouble import DeviceTrouble, Trouble

# Of -1000 to 1000: where memory is short, the kernel is to end this process, which is replaced, and not the server.
OOM_SCORE = 500


class Worker:
    """Answers `load`, `transcribe` and `ping`."""

    def __init__(self) -> None:
        self._engine: Engine | None = None

    def handle(self, message: Message) -> tuple[dict[str, Any], list[int]]:
        """Answer one message (see service.child.serve)."""
        data = message.data
        match data["do"]:
            case "ping":
                return {}, []
            case "load":
                module, name = data["engine"].split(":")
                engine: Engine = getattr(importlib.import_module(module), name)()
                config = ModelConfig(
                    path=Path(data["path"]),
                    compute_type=data["compute_type"],
                    threads=data["threads"],
                    workers=data["workers"],
                    batch=data["batch"],
                    margin_seconds=data["margin_seconds"],
                    least_seconds=data["least_seconds"],
                    group=data["group"],
                    device=data["device"],
                    device_index=data["device_index"],
                )
                try:
                    engine.load(config)
                except Trouble as error:
                    return _trouble(error)
                self._engine = engine
                return {"capabilities": asdict(engine.capabilities)}, []
            case "transcribe":
                if self._engine is None:
                    raise RuntimeError("no model is loaded")
                lengths = data["waveforms"]
                sounds = [Waveform(fd, length).samples() for fd, length in zip(message.fds, lengths, strict=True)]
                batch = [sounds[sound][start:end] for sound, start, end in data["windows"]]
                try:
                    results = self._engine.transcribe(batch, Options(**data["options"]))
                except MemoryError as error:
                    # What leaked would be missing for every request to come; a new process begins with none of it.
                    raise SystemExit(f"the engine ran out of memory: {error}") from error
                except DeviceTrouble as error:
                    answer, _ = _trouble(error)
                else:
                    answer = {"results": [asdict(result) for result in results]}
                return answer | {"strain": asdict(getattr(self._engine, "strain", Strain()))}, []
            case other:
                raise ValueError(f"unknown message {other!r}")


def _trouble(error: Trouble) -> tuple[dict[str, Any], list[int]]:
    """As it is, for the administrator; the journal needs no trace of where in the program it came up."""
    return {"trouble": type(error).__name__, "sentence": str(error)}, []


if __name__ == "__main__":
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE), encoding="ascii")
    child.serve(Worker().handle)

"""The worker's process: hosts one engine and its model, and does what the supervisor asks, one thing at a time.

It may hold the GIL, hang or crash: the server never waits for it without a deadline.
"""

import importlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..service import child
from ..speech.waveform import Waveform
from .engine import Engine, ModelConfig, Options


class Worker:
    """Answers `load`, `transcribe` and `ping`."""

    def __init__(self) -> None:
        self._engine: Engine | None = None

    def handle(self, message: child.Message) -> tuple[dict[str, Any], list[int]]:
        """Answer one message (see service.child.serve)."""
        data = message.data
        match data["do"]:
            case "ping":
                return {}, []
            case "load":
                module, name = data["engine"].split(":")
                engine: Engine = getattr(importlib.import_module(module), name)()
                engine.load(ModelConfig(Path(data["path"]), data["compute_type"], data["threads"]))
                self._engine = engine
                return {"capabilities": asdict(engine.capabilities)}, []
            case "transcribe":
                if self._engine is None:
                    raise RuntimeError("no model is loaded")
                samples = Waveform(message.fds[0], data["length"]).samples()
                batch = [samples[start:end] for start, end in data["windows"]]
                results = self._engine.transcribe(batch, Options(**data["options"]))
                return {"results": [asdict(result) for result in results]}, []
            case other:
                raise ValueError(f"unknown message {other!r}")


if __name__ == "__main__":
    child.serve(Worker().handle)

"""The command `hailo-whisper`, with the decoder that takes what the SDKs' own tests send for a recording."""

import contextlib
import functools
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from polling import until
from serving import ENGINE, ServerProcess, server_process

from hailo_whisper.cli import main
from hailo_whisper.speech.decoder import Decoder


def _command(config: Path) -> list[str]:
    return [sys.executable, "-m", "lenient_server", "serve", "--config", str(config), "--engine", ENGINE]


@contextlib.contextmanager
def lenient_server(folder: Path, more: Mapping[str, dict[str, Any]] | None = None) -> Iterator[ServerProcess]:
    """Run one with the scripted engine, ready, and `folder / "model"` for a model."""
    model = folder / "model"
    model.mkdir()
    for name in ("model.bin", "config.json", "tokenizer.json"):
        (model / name).write_text("{}")
    with server_process(folder, model, argv=_command, more=more) as started:
        until(started.ready)
        yield started


if __name__ == "__main__":
    with mock.patch("hailo_whisper.cli.serve.Decoder", functools.partial(Decoder, module="lenient_decoder")):
        sys.exit(main())

"""`hailo-whisper models` as an operator calls it, and models for it that are small and of one kind."""

import argparse
import hashlib
from pathlib import Path
from typing import Any

import yaml

from hailo_whisper.cli import models

FILES = {"model.bin": b"weights" * 100, "config.json": b"{}", "tokenizer.json": b"{}"}


def write_stick(folder: Path) -> Path:
    """A memory stick with the files of a model."""
    folder.mkdir()
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    return folder


def write_family(folder: Path, *each: dict[str, Any]) -> Path:
    """A catalog of models of these files; `each` is what one has beside them, or instead."""
    entry = {
        "description": "A model for tests.",
        "licence": "MIT",
        "languages": ["en"],
        "memory_mb": 1,
        "files": {name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in FILES.items()},
        "sources": {},
    }
    family = {"schema_version": 1, "family": "fake", "engine": "ctranslate2", "models": [entry | more for more in each]}
    folder.mkdir()
    (folder / "fake.yaml").write_text(yaml.safe_dump(family, sort_keys=False))
    return folder


def run(*argv: object) -> int:
    """Call it. Gives the exit status."""
    parser = argparse.ArgumentParser()
    models.add_parser(parser.add_subparsers())
    args = parser.parse_args(["models", *map(str, argv)])
    status = args.run(args)
    assert isinstance(status, int)
    return status

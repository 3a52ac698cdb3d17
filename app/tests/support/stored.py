"""Models that lie in a store: small ones, of a catalog of their own, which only the scripted engine takes for models."""

import hashlib
from pathlib import Path
from typing import Any

import yaml

from hailo_whisper.models import catalog
from hailo_whisper.models.store import Store, write_manifest

REVISION = "0123456789abcdef0123456789abcdef01234567"
MEMORY_MB = 500
"""What each of them says that it needs."""


def content(name: str) -> dict[str, bytes]:
    """The files of a model."""
    return {"model.bin": name.encode() * 20, "config.json": b"{}", "tokenizer.json": b"{}"}


def write_catalog(folder: Path, *names: str, engine: str = "ctranslate2") -> None:
    """Write a family of models, as /etc/hailo/models.d has them."""
    family: dict[str, Any] = {"schema_version": 1, "family": "fake", "engine": engine, "models": []}
    for name in names:
        files = {file: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for file, data in content(name).items()}
        entry: dict[str, Any] = {
            "name": name,
            "aliases": [f"the-{name}"],
            "description": "A model for tests.",
            "licence": "MIT",
            "languages": ["en"],
            "memory_mb": MEMORY_MB,
        }
        family["models"].append(
            entry | {"files": files, "sources": {"hub": {"repository": f"Fake/{name}", "revision": REVISION}}}
        )
    folder.mkdir(exist_ok=True)
    (folder / f"{engine}.yaml").write_text(yaml.safe_dump(family))


def store_of(folder: Path, *names: str) -> Store:
    """An empty store that knows these models."""
    write_catalog(folder / "models.d", *names)
    return Store(folder / "store", catalog.load(folder / "models.d"))


def place(store: Store, name: str, script: str = "") -> Path:
    """Put a model into its place at once, as a pull does. `script` is for the scripted engine."""
    folder = store.root / f".{name}"
    folder.mkdir(parents=True)
    for file, data in content(name).items():
        (folder / file).write_bytes(data)
    (folder / "script").write_text(script)
    write_manifest(folder, store.catalog.get(name), "a test")
    return folder.rename(store.root / name)


def cache(folder: Path, name: str) -> Path:
    """Put a model into a cache of the hub. Returns the folder with its files."""
    snapshot = folder / f"models--Fake--{name}" / "snapshots" / REVISION
    snapshot.mkdir(parents=True)
    for file, data in content(name).items():
        (snapshot / file).write_bytes(data)
    return snapshot

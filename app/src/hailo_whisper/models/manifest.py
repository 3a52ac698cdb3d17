"""The record that lies with a model's files: where they came from, and what they were like when their sums were compared."""

import json
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from .catalog import File, Model
from .sums import seen

MANIFEST = "manifest.json"


def read_manifest(folder: Path) -> dict[str, object]:
    """What was recorded when the model was placed; empty when there is nothing sound."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def recorded_entry(folder: Path) -> Model | None:
    """The entry that an imported model brought with it, because the catalog has none with these files."""
    with suppress(ValidationError):
        entry = Model.model_validate(read_manifest(folder).get("entry"))
        if entry.name == folder.name:
            return entry
    return None


def write_manifest(folder: Path, model: Model, source: str, *, own: bool = False) -> None:
    """Record that the files in the folder were compared with their sums just now. Unverified files get the sums that they have.

    `own` says that the entry is not the catalog's: then it is kept with the files.
    """
    model = model.pinned({file: seen(folder / file) for file in model.unverified})
    files = records(folder, model)
    manifest: dict[str, object] = {"schema_version": 1, "model": model.name, "source": source, "files": files}
    if own:
        manifest["entry"] = model.model_dump(mode="json", exclude_unset=True)
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def records(folder: Path, model: Model) -> dict[str, object]:
    """What is recorded of the files as they are now: size, sum and time of change of each, by its name. Raises OSError."""
    return {file: _record(folder / file, expected) for file, expected in model.files.items()}


def _record(path: Path, expected: File) -> dict[str, object]:
    status = path.stat()
    return {"size": expected.size or status.st_size, "sha256": expected.sha256, "mtime_ns": status.st_mtime_ns}


def recorded(folder: Path, model: Model) -> dict[str, File]:
    """The sums that the files had when the model was placed, as far as the record is sound."""
    manifest = read_manifest(folder)
    files = manifest.get("files")
    if manifest.get("model") != model.name or not isinstance(files, dict):
        return {}
    found = {}
    for name, record in files.items():
        if name in model.unverified and isinstance(record, dict):
            with suppress(ValidationError):
                found[name] = File(size=record.get("size"), sha256=record.get("sha256"))
    return found

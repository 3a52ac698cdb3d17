"""Importing models that lie on this machine. What is imported is verified as what is pulled: by the catalog's sums.

What the catalog does not know (somebody's own model, or one that was converted here and came out otherwise than the published one) keeps an
entry of its own, with the sums that its files have.
"""

import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from . import foreign
from .catalog import Model
from .checkpoint import read as read_checkpoint
from .conversion import ConversionFailed, convert
from .official import Official
from .placement import Staging, locked, require_space, writing
from .progress import Progress, progress
from .store import ModelUnusable, Store, write_manifest
from .sums import CHUNK, difference
from .survey import Found, ImportFailed

Notify = Callable[[str], None]


@dataclass(frozen=True)
class Imported:
    """What an import did: `changed` is False when the model was there already."""

    name: str
    origin: str
    changed: bool

    def __str__(self) -> str:
        return f"imported {self.name} from {self.origin}" if self.changed else f"unchanged {self.name}"


def bring(
    found: Found,
    store: Store,
    *,
    force: bool = False,
    link: bool = False,
    notify: Notify = lambda line: None,
    make_progress: Callable[[str, int], Progress] = progress,
) -> Imported:
    """Bring a model into the store. With `link` nothing is copied: the store links to the files where they lie.

    A model that is there already is left as it is, unless `force` is set or it has other files. Raises ImportFailed, BundleRefused,
    CheckpointUnreadable and PlacementFailed.
    """
    if link and not found.files:
        raise ImportFailed(f"{found.origin} has no files that could be linked to. Leave --link out.")
    if not force and is_there(found, store):
        return Imported(found.name, found.origin, changed=False)
    with locked(store.root, notify), Staging(store.root, found.name) as staging:
        notify(f"{found.name}: importing from {found.origin}")
        if found.checkpoint:
            model, own = _convert(*found.checkpoint, staging.files, store)
        else:
            model, own = found.entry or store.catalog.get(found.name), found.entry is not None
            if link:
                _link(found, staging.files, store)
            else:
                _copy(found, model, staging.files, store, make_progress)
            _compare(found, model, staging.files)
        with writing(store.root):
            write_manifest(staging.files, model, found.origin, own=own)
        staging.place()
    return Imported(found.name, found.origin, changed=True)


def is_there(found: Found, store: Store) -> bool:
    """Whether the store has the very model. What a checkpoint becomes is not known before it is converted: its name must do."""
    try:
        store.path(found.name)
    except ModelUnusable:
        return False
    return found.entry is None or store.model(found.name).files == found.entry.files


def _link(found: Found, into: Path, store: Store) -> None:
    with writing(store.root):
        for name, place in found.files.items():
            # The bytes themselves, because a hub's cache moves its own links about.
            (into / name).symlink_to(place.resolve())


def unreadable_to_others(paths: Iterable[Path]) -> Path | None:
    """The first of the files, or of the folders above them, that the service's own user may not enter or read; None when it may all."""
    for path in paths:
        real = path.resolve()
        if not real.stat().st_mode & stat.S_IROTH:
            return real
        for folder in real.parents:
            if not folder.stat().st_mode & stat.S_IXOTH:
                return folder
    return None


def _copy(found: Found, model: Model, into: Path, store: Store, make_progress: Callable[[str, int], Progress]) -> None:
    size = sum(file.size or 0 for file in model.files.values()) or model.size
    require_space(store.root, size)
    done = 0
    with make_progress(found.name, size) as shown:
        for name, stream in found.bundle.files(found.name) if found.bundle else _streams(found.files):
            with writing(store.root), (into / name).open("wb") as target:
                while chunk := stream.read(CHUNK):
                    target.write(chunk)
                    done += len(chunk)
                    shown.reach(done)


def _streams(files: Mapping[str, Path]) -> Iterator[tuple[str, IO[bytes]]]:
    for name, path in files.items():
        try:
            stream = path.open("rb")
        except OSError as error:
            raise ImportFailed(f"{path} cannot be read: {error.strerror or error}. Run the command as root (sudo).") from error
        with stream:
            yield name, stream


def _compare(found: Found, model: Model, folder: Path) -> None:
    for name, expected in model.files.items():
        fault = difference(folder / name, expected) if (folder / name).is_file() else f"{name} is missing"
        if fault:
            raise ImportFailed(f"{found.origin} is not the model {found.name}: {fault}. Nothing of it was taken; get it again.")


def _convert(path: Path, checkpoint: Official, into: Path, store: Store) -> tuple[Model, bool]:
    """Convert a checkpoint into the folder. Returns the entry, and whether it is the model's own and not the catalog's."""
    # A little more than the checkpoint itself: its weights, and the tokens.
    require_space(store.root, path.stat().st_size)
    try:
        read = read_checkpoint(path)
        with writing(store.root):
            names = convert(read, checkpoint.heads, into)
    except ConversionFailed as error:
        raise ImportFailed(f"{path} is not the checkpoint {checkpoint.name}: {error}") from error
    known = store.catalog.get(checkpoint.name) if checkpoint.name in store.catalog else None
    if known and _is_published(known, names, into):
        return known, False
    own = foreign.entry(into, checkpoint.name)
    described: dict[str, object] = {
        "description": f"OpenAI's {checkpoint.name}.pt, converted here.",
        "family": "whisper-ctranslate2",
        "licence": "MIT",
    }
    if known:
        described |= {
            "description": known.description,
            "memory_mb": known.memory_mb,
            "quality": known.quality,
            "speed": known.speed,
        }
    return Model.model_validate(own.model_dump(exclude_unset=True) | described), True


def _is_published(known: Model, names: list[str], folder: Path) -> bool:
    """Whether the files are the catalog's, byte for byte."""
    if known.files.keys() != set(names) or known.unverified:
        return False
    return not any(difference(folder / name, expected) for name, expected in known.files.items())

"""Pulling a model: try the sources in order, verify what came, put it in place."""

import errno
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..failure import Failure
from .catalog import Model
from .placement import PlacementFailed, Staging, adopt, locked, require_space, writing
from .plausible import doubt
from .progress import Progress, progress
from .sources import NotOffered, Source, SourceFailed
from .store import MANIFEST, ModelUnusable, Store, read_manifest, recorded_entry, write_manifest
from .sums import difference

Change = Literal["unchanged", "repaired", "pulled"]


class PullFailed(Failure):
    """No source brought the model. The message names what was wrong with each."""


@dataclass(frozen=True)
class Outcome:
    """What a pull did: `source` for a pulled model, and the sources that failed before it, each with its reason."""

    name: str
    change: Change
    source: str | None = None
    failed: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.change} {self.name}" + (f" from {self.source}" if self.source else "")


def pull(
    name: str,
    store: Store,
    sources: Sequence[Source],
    *,
    force: bool = False,
    notify: Callable[[str], None] = lambda line: None,
    make_progress: Callable[[str, int], Progress] = progress,
) -> Outcome:
    """Make sure that the model is in the store, complete and verified.

    A model that is there is not fetched again unless `force` is set; at most its owner, modes or record are repaired.
    Raises ModelUnusable for an unknown name, PlacementFailed when the store cannot be written, and PullFailed.
    """
    model = store.model(name)
    state = foresee(name, store, force=force)
    if state == "unchanged":
        return Outcome(model.name, "unchanged")
    if state == "pulled":
        # What the catalog says, and not what was imported under its name; where it knows no sum, what was pinned before holds.
        model = store.catalog.get(name).pinned(model.files)
    with locked(store.root, notify):
        # Another pull may have brought it while this one waited.
        if not force and _is_sound(store, name):
            return Outcome(model.name, "repaired" if _repair(store, store.model(name)) else "unchanged")
        with Staging(store.root, model.name) as staging:
            require_space(store.root, model.size - staging.kept)
            return _fetch(model, store, sources, staging, notify=notify, make_progress=make_progress)


def foresee(name: str, store: Store, *, force: bool = False) -> Change:
    """What `pull` would do, if its sources work. Changes nothing. Raises ModelUnusable for an unknown name."""
    model = store.model(name)
    if force or not _is_sound(store, name):
        return "pulled"
    if store.is_packaged(name):
        return "unchanged"
    folder = store.root / model.name
    if store.is_as_verified(name) and not any(adopt(folder / file, pretend=True) for file in _ours(model)):
        return "unchanged"
    return "repaired"


def _is_sound(store: Store, name: str) -> bool:
    """Whether the model is there and its bytes are right, as far as that is not known already."""
    try:
        store.path(name)
    except ModelUnusable:
        return False
    return True


def _fetch(
    model: Model,
    store: Store,
    sources: Sequence[Source],
    staging: Staging,
    *,
    notify: Callable[[str], None],
    make_progress: Callable[[str, int], Progress],
) -> Outcome:
    failed: list[str] = []
    absent: list[str] = []
    for source in sources:
        try:
            extra = source.extra_space(model)
            notify(f"{model.name}: fetching {model.size / 1e6:.0f} MB from {source.name}")
            _try(source, model, store, staging, extra=extra, make_progress=make_progress)
        except NotOffered as error:
            absent.append(f"{source.name}: {_words(error)}")
            continue
        except (SourceFailed, PlacementFailed, OSError) as error:
            failed.append(f"{source.name}: {_words(error)}")
            notify(f"{model.name}: {source.name}: {_words(error)}")
            with writing(store.root):
                (staging.forget if _is_full(error) else staging.clear)()
            continue
        for name in model.unverified:
            notify(
                f"{model.name}: nobody knows the sum of {name}: what came from {source.name} now, and nothing else, is taken from now on"
            )
        write_manifest(staging.files, model, source.name)
        staging.place()
        return Outcome(model.name, "pulled", source.name, tuple(failed))
    tried = "\n".join(f"  {line}" for line in (*failed, *absent)) or "  no source was given"
    raise PullFailed(
        f"The model {model.name} could not be fetched from any source:\n{tried}\n"
        "Mend one of these, or bring the files in a folder and use --source folder:/path/to/folder."
    )


def _try(
    source: Source,
    model: Model,
    store: Store,
    staging: Staging,
    *,
    extra: int,
    make_progress: Callable[[str, int], Progress],
) -> None:
    """Fetch from one source, and once more from the beginning when what it went on with turns out to be something else."""
    begun = staging.kept
    require_space(store.root, model.size + extra - begun)
    for resumed in (True, False) if begun else (False,):
        with make_progress(model.name, extra or model.size) as shown:
            source.fetch(model, staging.files, staging.work, shown)
        fault = _fault(model, staging.files)
        if fault is None:
            return
        # Wrong bytes are nothing that another source could go on with.
        staging.forget()
        if not resumed:
            raise SourceFailed(fault)


def _fault(model: Model, files: Path) -> str | None:
    for name, expected in model.files.items():
        path = files / name
        if not path.is_file() or path.is_symlink():
            return f"{name} did not arrive"
        fault = difference(path, expected)
        if fault:
            return f"what arrived is not the pinned model: {fault}"
        odd = doubt(path, model.requires.architecture if model.requires else ()) if expected.sha256 is None else None
        if odd:
            return f"what arrived cannot be the model: {odd}"
    return None


def _is_full(error: Exception) -> bool:
    """Whether the disk is: then nothing may be kept that somebody else may need the room of."""
    return isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}


def _words(error: Exception) -> str:
    if _is_full(error):
        return "the disk is full; what had arrived was removed again"
    return str(error).rstrip(".")


def _ours(model: Model) -> list[str]:
    return ["", MANIFEST, *model.files]


def _repair(store: Store, model: Model) -> bool:
    """Give a sound model its record, owner and modes, unless it is a package's. Returns whether that changed anything."""
    if store.is_packaged(model.name):
        return False
    folder = store.root / model.name
    with writing(store.root):
        recorded = store.is_as_verified(model.name)
        if not recorded:
            source = read_manifest(folder).get("source")
            own = recorded_entry(folder) is not None
            write_manifest(folder, model, source if isinstance(source, str) else "unknown", own=own)
        adopted = [adopt(folder / file) for file in _ours(model)]
    return not recorded or any(adopted)

"""Pulling a model: try the sources in order, verify what came, put it in place."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from ..failure import Failure
from .catalog import Model
from .placement import PlacementFailed, Staging, adopt, locked, require_space, writing
from .progress import Progress, progress
from .sources import Source, SourceFailed
from .store import MANIFEST, ModelUnusable, Store, read_manifest, write_manifest
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
    model = store.catalog.get(name)
    state = foresee(name, store, force=force)
    if state == "unchanged":
        return Outcome(name, "unchanged")
    if state == "pulled":
        require_space(store.root, model.size)
    with locked(store.root, notify):
        # Another pull may have brought it while this one waited.
        if not force and _is_sound(store, name):
            return Outcome(name, "repaired" if _repair(store, model) else "unchanged")
        with Staging(store.root, name) as staging:
            return _fetch(model, store, sources, staging, notify=notify, make_progress=make_progress)


def foresee(name: str, store: Store, *, force: bool = False) -> Change:
    """What `pull` would do, if its sources work. Changes nothing. Raises ModelUnusable for an unknown name."""
    model = store.catalog.get(name)
    if force or not _is_sound(store, name):
        return "pulled"
    folder = store.root / name
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
    for source in sources:
        notify(f"{model.name}: fetching {model.size / 1e6:.0f} MB from {source.name}")
        try:
            _try(source, model, store, staging, make_progress)
        except (SourceFailed, PlacementFailed, OSError) as error:
            failed.append(f"{source.name}: {str(error).rstrip('.')}")
            notify(f"{model.name}: {failed[-1]}")
            with writing(store.root):
                staging.clear()
            continue
        write_manifest(staging.files, model, source.name)
        staging.place()
        return Outcome(model.name, "pulled", source.name, tuple(failed))
    tried = "\n".join(f"  {line}" for line in failed) or "  no source was given"
    raise PullFailed(
        f"The model {model.name} could not be fetched from any source:\n{tried}\n"
        "Mend one of these, or bring the files in a folder and use --source folder:/path/to/folder."
    )


def _try(
    source: Source,
    model: Model,
    store: Store,
    staging: Staging,
    make_progress: Callable[[str, int], Progress],
) -> None:
    extra = source.extra_space(model)
    require_space(store.root, model.size + extra)
    with make_progress(model.name, extra or model.size) as shown:
        source.fetch(model, staging.files, staging.work, shown)
    for name, expected in model.files.items():
        path = staging.files / name
        if not path.is_file() or path.is_symlink():
            raise SourceFailed(f"{name} did not arrive")
        fault = difference(path, expected)
        if fault:
            raise SourceFailed(f"what arrived is not the pinned model: {fault}")


def _ours(model: Model) -> list[str]:
    return ["", MANIFEST, *model.files]


def _repair(store: Store, model: Model) -> bool:
    """Give a sound model its record, owner and modes. Returns whether that changed anything."""
    folder = store.root / model.name
    with writing(store.root):
        recorded = store.is_as_verified(model.name)
        if not recorded:
            source = read_manifest(folder).get("source")
            write_manifest(folder, model, source if isinstance(source, str) else "unknown")
        adopted = [adopt(folder / file) for file in _ours(model)]
    return not recorded or any(adopted)

"""Fetching a model into a hub's cache, where other programs look for it: the same sources, the same sums, another place."""

from collections.abc import Callable, Sequence
from pathlib import Path

from . import hub_cache
from .catalog import Catalog, Model
from .placement import PARTIAL, writing
from .progress import Progress, progress
from .pull import Outcome, pull
from .removal import remove
from .sources import Source
from .store import Store
from .sums import difference
from .unusable import ModelUnusable

# A store of its own in the cache's file system, so that what was fetched is moved and not copied. Only what was broken off stays in it.
SCRATCH = ".hailo-whisper"


def pull_into_cache(
    name: str,
    cache: Path,
    catalog: Catalog,
    sources: Sequence[Source],
    *,
    force: bool = False,
    notify: Callable[[str], None] = lambda line: None,
    make_progress: Callable[[str, int], Progress] = progress,
) -> Outcome:
    """Make sure that the model is in the cache (HF_HUB_CACHE, which is HF_HOME/hub), complete and verified.

    Raises ModelUnusable for a name that is unknown or has no repository on a hub, PlacementFailed and PullFailed.
    """
    model = catalog.get(name)
    hub = model.sources.hub
    if hub is None:
        raise ModelUnusable(
            f"{model.name} is in no repository of a hub, so a hub's cache has no place for it. Leave --hub-cache out, and use the store."
        )
    if not force and is_cached(model, cache):
        return Outcome(model.name, "unchanged")
    scratch = Store(cache / SCRATCH, catalog)
    outcome = pull(model.name, scratch, sources, force=force, notify=notify, make_progress=make_progress)
    with writing(cache):
        for folder in (cache, cache / SCRATCH):
            # The store is for one user; a cache is for whoever mounts it, and nothing in a model is secret.
            folder.chmod(folder.stat().st_mode | 0o055)
        snapshot = hub_cache.lay_out(cache, model, hub, scratch.root / model.name)
    remove(model.name, scratch)
    if not (scratch.root / PARTIAL).exists():
        with writing(cache):
            (scratch.root / ".lock").unlink(missing_ok=True)
            scratch.root.rmdir()
    return Outcome(model.name, "pulled", outcome.source or str(snapshot), outcome.failed)


def is_cached(model: Model, cache: Path) -> bool:
    """Whether the very files lie in the cache, at the commit that the catalog pins."""
    found = hub_cache.find(hub_cache.snapshots(cache), model)
    if found is None or (model.sources.hub and found.revision != model.sources.hub.revision and not model.unverified):
        return False
    return not any(difference(found.folder / place, model.files[name]) for name, place in hub_cache.places(model).items())

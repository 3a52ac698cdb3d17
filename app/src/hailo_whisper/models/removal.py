"""Removing a model from the store."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from .placement import PARTIAL, locked, writing
from .store import ModelUnusable, Store


def remove(name: str, store: Store, notify: Callable[[str], None] = lambda line: None) -> bool:
    """Remove a model, whole or broken. Returns whether there was one.

    It is gone at once for whoever looks; a process that has it open keeps its bytes. Raises ModelUnusable for an unknown name and for
    a model of a package, and PlacementFailed when the store cannot be written.
    """
    place = store.folder(name)
    if store.is_packaged(name):
        raise ModelUnusable(
            f"The model {place.name} in {place} is not the store's but a package's. `dpkg --search {place}` says which, and apt removes it."
        )
    if not _lies(place, store):
        return False
    with locked(store.root, notify), writing(store.root):
        if not _lies(place, store):
            return False
        if place.is_symlink() or not place.is_dir():
            place.unlink()
            return True
        # Out of sight in one step, so that nobody finds half a model.
        partial = store.root / PARTIAL
        partial.mkdir(mode=0o700, exist_ok=True)
        bin_ = Path(tempfile.mkdtemp(prefix=f"{place.name}-removed-", dir=partial))
        place.rename(bin_ / place.name)
        shutil.rmtree(bin_)
        if not any(partial.iterdir()):
            partial.rmdir()
    return True


def _lies(place: Path, store: Store) -> bool:
    with writing(store.root):
        try:
            place.lstat()
        except FileNotFoundError:
            return False
        return True

"""HEFs of the store, shown where hailo-apps' programs look for them: `models/hailo10h/NAME.hef` in its folder of resources.

They are links, so that a model takes its room once and is verified in one place. Only where somebody has made that folder: the role hailo_apps.
"""

import os
from collections.abc import Callable
from pathlib import Path

from .catalog import Model
from .placement import writing
from .store import Store
from .sums import difference


def show(
    name: str, store: Store, resources: Path, notify: Callable[[str], None] = lambda line: None, *, pretend: bool = False
) -> bool:
    """Link a model that is in the store. Returns whether that changed anything, or would with `pretend`.

    Another file of that name stays, and `notify` is told of it. Raises PlacementFailed when the folder cannot be written.
    """
    model = store.model(name)
    place = _place(model, resources)
    if place is None:
        return False
    target = store.folder(name) / place.name
    if place.is_symlink() and place.readlink() == target:
        return False
    # One of the same bytes, that hailo-apps has fetched itself, would only take its room twice.
    if place.exists() and not place.is_symlink() and difference(place, model.files[place.name]):
        notify(
            f"{place} is another file than the one that was verified. It stays, and hailo-apps' programs use it; the service does not."
        )
        return False
    if not pretend:
        with writing(place.parent):
            new = place.with_name(f".{place.name}.new")
            new.unlink(missing_ok=True)
            new.symlink_to(target)
            new.replace(place)
    return True


def fetched(name: str, store: Store, resources: Path) -> Path | None:
    """The folder with a model of one HEF that hailo-apps has fetched itself, or None. Its bytes are nobody's yet: they are to be pulled from there."""
    place = _place(store.model(name), resources)
    return place.parent if place is not None and place.is_file() and not place.is_symlink() else None


def hide(model: Model, store: Store, resources: Path) -> None:
    """Remove the link of a model that is no more. Raises PlacementFailed when the folder cannot be written."""
    place = _place(model, resources)
    if place is not None and place.is_symlink() and place.readlink() == store.root / model.name / place.name:
        with writing(place.parent):
            place.unlink()


def _place(model: Model, resources: Path) -> Path | None:
    """Where hailo-apps looks for a model of one HEF; None for others, and where there is no such folder."""
    if model.requires is None or len(model.files) != 1:
        return None
    (file,) = model.files
    folder = resources / "models" / model.requires.architecture[0]
    # False too where this user may not look.
    return folder / file if file.endswith(".hef") and os.path.isdir(folder) else None  # noqa: PTH112

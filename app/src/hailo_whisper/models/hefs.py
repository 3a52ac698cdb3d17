"""Where a model is in the form that the Hailo NPU takes, a HEF: in the store, or where hailo-apps keeps it."""

import logging
from pathlib import Path

from .unusable import ModelMissing, ModelUnusable

log = logging.getLogger(__name__)

ARCHITECTURE = "hailo10h"
# The proper names, by what is said after an optional "whisper-". The last one never was, but fleets of today have it in their configuration.
NAMES = {
    "tiny": "Whisper-Tiny",
    "base": "Whisper-Base",
    "small": "Whisper-Small",
    "small-int8": "Whisper-Small",
}


def find(name: str, path: str | None, models: Path, resources: Path) -> Path:
    """The HEF of a model: at `path` when that is given, else by its name. Raises ModelUnusable.

    `models` is the store, `resources` the folder of hailo-apps.
    """
    if path:
        return _chosen(Path(path))
    folder = models / name
    if list(folder.glob("*.hef")):
        return _chosen(folder)
    proper = NAMES.get(name.lower().removeprefix("whisper-"), name)
    if name.lower().removeprefix("whisper-") != proper.lower().removeprefix("whisper-"):
        log.warning("there is no model %s for the Hailo NPU: %s is taken", name, proper)
    kept = resources / "models" / ARCHITECTURE / f"{proper}.hef"
    if kept.is_file():
        return kept
    raise ModelMissing(
        f"There is no HEF of the model {name}: neither one in {folder} nor {kept}. Fetch it (the role hailo_apps does, with its name {proper}), "
        "or set model.path to one."
    )


def _chosen(path: Path) -> Path:
    """The file that a path or its folder is."""
    if path.is_dir():
        found = sorted(path.glob("*.hef"))
        if len(found) != 1:
            names = ", ".join(entry.name for entry in found) or "none"
            raise ModelUnusable(
                f"{path} should have one file that ends in .hef, and has {names}. Set model.path to the file that is meant."
            )
        return found[0]
    if not path.is_file():
        raise ModelMissing(f"The model file {path} does not exist. Set model.path to a HEF, or to the folder of one.")
    return path

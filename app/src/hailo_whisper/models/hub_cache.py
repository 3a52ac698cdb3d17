"""The cache of a model hub, as huggingface_hub lays it out: finding models in it, and putting models into it.

models--OWNER--NAME/refs/main               the commit that `main` was when it was fetched
models--OWNER--NAME/snapshots/COMMIT/FILE   a link to the bytes
models--OWNER--NAME/blobs/SUM               the bytes: by sha256 when they are large, else by git's own sum
"""

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .catalog import COMMIT, Catalog, File, Hub, Model

PREFIX = "models--"
# The hub keeps what is larger outside of git, and calls it by its sha256.
LARGE_BYTES = 10_000_000
HUBS = ("huggingface/hub", "huggingface", "hub", "")
"""Where in a folder the hub's cache may lie: ~/.cache, HF_HOME and HF_HUB_CACHE are all called so."""


@dataclass(frozen=True)
class Snapshot:
    """One commit of a repository that lies in a cache."""

    repository: str
    revision: str
    folder: Path


def snapshots(path: Path) -> list[Snapshot]:
    """What lies in a cache: in HF_HOME, its folder `hub`, or one repository's or snapshot's folder. `main` comes first."""
    if path.parent.name == "snapshots" and path.parent.parent.name.startswith(PREFIX):
        return [Snapshot(_repository(path.parent.parent), path.name, path)]
    if path.name.startswith(PREFIX):
        return list(_of_repository(path))
    hub = path / "hub" if (path / "hub").is_dir() else path
    return [snapshot for folder in sorted(hub.glob(f"{PREFIX}*--*")) for snapshot in _of_repository(folder)]


def find(found: list[Snapshot], model: Model) -> Snapshot | None:
    """The snapshot with every file of the model, by name and size: the pinned commit, or else the first."""
    hub = model.sources.hub
    if hub is None:
        return None
    files = {place: model.files[name] for name, place in places(model).items()}
    fitting = [one for one in found if one.repository == hub.repository and _has_all(one.folder, files)]
    return next((one for one in fitting if one.revision == hub.revision), fitting[0] if fitting else None)


def held(cache: Path, model: Model) -> Path | None:
    """The folder of a model in a cache that others fill, with every file by its name and size; None when it has none.

    It may also lie there as it lies in a store, in a folder of its name. Raises OSError when it was not found, and a part of the cache cannot be read.
    """
    hub, fault = model.sources.hub, None
    try:
        if _has_all(cache / model.name, model.files):
            return cache / model.name
    except OSError as error:
        fault = error
    # An engine asks for the files by the names that the catalog has.
    if hub and all(name == place for name, place in places(model).items()):
        for part in HUBS:
            repository = cache / part / f"{PREFIX}{hub.repository.replace('/', '--')}"
            try:
                # What looks for patterns passes over what may not be read.
                next((repository / "snapshots").iterdir(), None)
                snapshot = find(snapshots(repository), model)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                fault = error
                continue
            if snapshot:
                return snapshot.folder
    if fault:
        raise fault
    return None


def known(found: list[Snapshot], catalog: Catalog) -> list[tuple[Model, Snapshot]]:
    """The models of the catalog that lie in a cache, each with its snapshot."""
    pairs = ((model, find(found, model)) for model in catalog)
    return [(model, snapshot) for model, snapshot in pairs if snapshot]


def places(model: Model) -> dict[str, str]:
    """Where each file of the model lies in its repository."""
    return {name: (model.sources.hub.files.get(name, name) if model.sources.hub else name) for name in model.files}


def lay_out(cache: Path, model: Model, hub: Hub, folder: Path) -> Path:
    """Move the model's files from the folder into the cache, as if huggingface_hub had fetched them. Returns the snapshot.

    `cache` is HF_HUB_CACHE, which is HF_HOME/hub. A branch whose commit is not known gets a made-up one, of the files' sums.
    Raises OSError.
    """
    repository = cache / f"{PREFIX}{hub.repository.replace('/', '--')}"
    blobs = {name: _blob(folder / name, expected) for name, expected in model.files.items()}
    commit = hub.revision
    if not COMMIT.fullmatch(commit):
        commit = hashlib.sha1("".join(sorted(blobs.values())).encode(), usedforsecurity=False).hexdigest()
    snapshot = repository / "snapshots" / commit
    for place, name in ((place, name) for name, place in places(model).items()):
        blob, link = repository / "blobs" / blobs[name], snapshot / place
        blob.parent.mkdir(parents=True, exist_ok=True)
        link.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(folder / name, blob)
        # Containers run as other users, and nothing in a model is secret.
        blob.chmod(0o644)
        part = link.with_name(f".{link.name}.part")
        part.unlink(missing_ok=True)
        part.symlink_to(os.path.relpath(blob, link.parent))
        part.replace(link)
    reference = repository / "refs" / (hub.revision if commit != hub.revision else "main")
    reference.parent.mkdir(exist_ok=True)
    reference.write_text(commit)
    return snapshot


def _of_repository(folder: Path) -> Iterator[Snapshot]:
    try:
        main = (folder / "refs" / "main").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        main = ""
    commits = sorted(path for path in (folder / "snapshots").glob("*") if path.is_dir())
    for commit in sorted(commits, key=lambda path: path.name != main):
        yield Snapshot(_repository(folder), commit.name, commit)


def _repository(folder: Path) -> str:
    return folder.name.removeprefix(PREFIX).replace("--", "/", 1)


def _has_all(folder: Path, files: Mapping[str, File]) -> bool:
    for place, expected in files.items():
        path = folder / place
        if not path.is_file() or (expected.size is not None and path.stat().st_size != expected.size):
            return False
    return True


def _blob(path: Path, expected: File) -> str:
    size = path.stat().st_size
    large = size > LARGE_BYTES
    # Git puts a line in front of what it sums. Its sums are SHA-1, and nobody's safety hangs on this one.
    digest = hashlib.sha256() if large else hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
    if large and expected.sha256:
        return expected.sha256
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()

"""What there is to import in a place: a folder, a hub's cache, a checkpoint of OpenAI, a bundle."""

from dataclasses import dataclass, field
from pathlib import Path

from ..failure import Failure
from . import foreign, hub_cache, official
from .bundle import Bundle, is_bundle, read
from .catalog import Catalog, Model
from .official import Official
from .signature import Trust
from .store import recorded_entry
from .sums import difference, sha256


class ImportFailed(Failure):
    """Something cannot be imported. The message says why, and what to do."""


@dataclass(frozen=True)
class Found:
    """A model that can be imported. `origin` is how users call the place.

    `entry` is the model's own, where the catalog's is another or none. Of the last three one is set: the place of each file, the
    bundle, or the checkpoint with its file.
    """

    name: str
    origin: str
    entry: Model | None = None
    files: dict[str, Path] = field(default_factory=dict)
    bundle: Bundle | None = None
    checkpoint: tuple[Path, Official] | None = None


def survey(path: Path, catalog: Catalog, *, name: str | None = None, trust: Trust | None = None) -> list[Found]:
    """What can be imported from a path. `name` is what the one model there is to be called in the store.

    Hashes what must be told apart by its bytes. Raises ImportFailed, ForeignUnusable and BundleRefused.
    """
    if path.is_file():
        found = _in_bundle(path, catalog, trust or Trust()) if is_bundle(path) else [_checkpoint(path)]
    elif path.is_dir():
        try:
            found = _in_folder(path, catalog, name)
        except OSError as error:
            raise ImportFailed(
                f"{error.filename or path} cannot be read: {error.strerror or error}. Run the command as root (sudo)."
            ) from error
    else:
        raise ImportFailed(f"There is no file or folder {path}. Name a folder, a hub's cache, a .pt file of OpenAI or a bundle.")
    if name is None:
        return found
    chosen = [one for one in found if one.name == name]
    if not chosen:
        has = ", ".join(one.name for one in found)
        raise ImportFailed(f"{path} has {has} by its files, and not {name}. Leave --name out, or name another place.")
    return chosen


def _in_bundle(path: Path, catalog: Catalog, trust: Trust) -> list[Found]:
    bundle = read(path, trust)
    found = []
    for packed in bundle.manifest.models:
        name = packed.entry.name
        own = packed.entry if packed.own or name not in catalog else None
        if own and name in catalog and bundle.comment is None:
            raise ImportFailed(
                f"{path} brings a {name} with other files than the catalog's, and nobody who is trusted here has signed it. Have it signed "
                "with a key of models.signing_keys, or import what it was made of."
            )
        found.append(Found(name, f"bundle:{path}", own, bundle=bundle))
    return found


def _checkpoint(path: Path) -> Found:
    """OpenAI's checkpoint by its sum. Its name, if it is one of theirs, must say the same."""
    known = official.load()
    claimed = [one for one in known if path.suffix == ".pt" and path.stem in (one.name, *one.also)]
    try:
        actual = sha256(path)
    except OSError as error:
        raise ImportFailed(f"{path} cannot be read: {error.strerror or error}. Run the command as root (sudo).") from error
    found = next((one for one in known if one.sha256 == actual), None)
    if found is None and claimed:
        expected = " or ".join(one.sha256 for one in claimed)
        raise ImportFailed(
            f"{path} is not the {path.name} that OpenAI published: its sha256 is {actual} and must be {expected}. It was cut short or "
            "changed: remove it, and fetch it again."
        )
    if found is None:
        raise ImportFailed(
            f"{path} is neither a bundle nor a checkpoint that OpenAI published (its sha256 is {actual}). A model of your own can be "
            "imported in CTranslate2's form: convert it where it was trained, with ct2-transformers-converter, and import the folder."
        )
    if claimed and found not in claimed:
        raise ImportFailed(
            f"{path} is not what its name says: by its sum it is OpenAI's {found.name}.pt. Rename it, and import it again."
        )
    return Found(found.name, f"checkpoint:{path}", checkpoint=(path, found))


def _in_folder(path: Path, catalog: Catalog, name: str | None) -> list[Found]:
    cached = hub_cache.snapshots(path)
    if cached:
        return _in_cache(path, cached, catalog, name)
    here = _model(path, catalog, name)
    if here:
        return [here]
    below = sorted(each for each in path.iterdir() if not each.name.startswith("."))
    official_names = {each for one in official.load() for each in (one.name, *one.also)}
    found = [one for folder in below if folder.is_dir() and (one := _model(folder, catalog, None))]
    found += [_checkpoint(file) for file in below if file.suffix == ".pt" and file.stem in official_names]
    if not found:
        raise ImportFailed(
            f"{path} has no model that is known here: no model.bin with config.json and tokenizer.json, no models--OWNER--NAME of a "
            "hub's cache, and no .pt file of OpenAI."
        )
    return found


def _in_cache(path: Path, cached: list[hub_cache.Snapshot], catalog: Catalog, name: str | None) -> list[Found]:
    found = [
        Found(model.name, f"cache:{path}", files={file: one.folder / place for file, place in hub_cache.places(model).items()})
        for model, one in hub_cache.known(cached, catalog)
    ]
    repositories = sorted({one.repository for one in cached})
    if not found and len(repositories) == 1 and foreign.is_model(cached[0].folder):
        own = foreign.entry(cached[0].folder, name or repositories[0].rpartition("/")[2])
        return [_own(own, cached[0].folder, catalog)]
    if not found:
        raise ImportFailed(
            f"{path} has no model of the catalog that is whole and of the pinned size. It has {', '.join(repositories)}."
        )
    return found


def _model(folder: Path, catalog: Catalog, name: str | None) -> Found | None:
    """The model whose files lie in a folder: the catalog's when they have its sums, else one with an entry of its own."""
    for model in sorted(catalog, key=lambda model: model.name != folder.name):
        if _fits(folder, model, name) and not any(difference(folder / file, one) for file, one in model.files.items()):
            return Found(model.name, f"folder:{folder}", files={file: folder / file for file in model.files})
    if not foreign.is_model(folder):
        return None
    recorded = recorded_entry(folder)
    if recorded and name in (None, recorded.name) and recorded.name not in catalog:
        return Found(recorded.name, f"folder:{folder}", recorded, {file: folder / file for file in recorded.files})
    return _own(foreign.entry(folder, name or folder.name), folder, catalog)


def _fits(folder: Path, model: Model, name: str | None) -> bool:
    """Whether a folder can be that model: every file is there, of its size. Where a sum is not known, it must be called so, too."""
    if model.unverified and model.name not in (name, folder.name):
        return False
    return all(
        (folder / file).is_file() and one.size in (None, (folder / file).stat().st_size) for file, one in model.files.items()
    )


def _own(entry: Model, folder: Path, catalog: Catalog) -> Found:
    if entry.name in catalog:
        raise ImportFailed(
            f"{folder} is not the catalog's {entry.name}: its files have other sums. If it is a model of your own, give it another name "
            "with --name; if not, fetch it again."
        )
    return Found(entry.name, f"folder:{folder}", entry, {file: folder / file for file in entry.files})

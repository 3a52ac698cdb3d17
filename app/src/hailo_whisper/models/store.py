"""The store: the folder with the models that are on this machine, that of the packages, and a hub's cache. Reading only; `pull` writes."""

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from . import catalog as catalogs
from . import hub_cache
from .catalog import NAME, Catalog, File, Model
from .cure import PULL, pulling, sentence
from .manifest import MANIFEST, read_manifest, recorded, recorded_entry, records, write_manifest
from .sums import difference
from .unusable import ModelMissing, ModelUnusable, forbidden

__all__ = [
    "MANIFEST",
    "PACKAGED",
    "Installed",
    "ModelMissing",
    "ModelUnusable",
    "Store",
    "read_manifest",
    "recorded_entry",
    "write_manifest",
]

PACKAGED = Path("/usr/share/hailo-whisper/models")
"""Where the packages hailo-whisper-model-* have their files: nothing of ours ever writes there."""

# What a Whisper model in CTranslate2 form cannot do without; a folder that the user brings has no catalog entry to ask.
REQUIRED = ("model.bin", "config.json", "tokenizer.json")


@dataclass(frozen=True)
class Installed:
    """A complete model in the store. `size` is in bytes, `source` says where it came from, if that is known."""

    name: str
    path: Path
    size: int
    source: str | None


class Store:
    """The models under one folder, a folder each. `pull_command` is the cure that messages name; `{name}` is filled in.

    What is not there is looked for under `packaged`, which is laid out likewise and only read, and then in `cache`, a hub's cache that others fill.
    """

    def __init__(
        self,
        root: Path,
        catalog: Catalog | None = None,
        pull_command: str = PULL,
        *,
        packaged: Path | None = None,
        cache: Path | None = None,
    ) -> None:
        self.root = root
        self._packaged = packaged
        self._cache = cache
        self.catalog = catalogs.load() if catalog is None else catalog
        self._pull_command = pull_command
        # The files of a folder without a record, as they were when they were found to have the right sums.
        self._found_right: dict[Path, dict[str, object]] = {}

    def path(self, name: str) -> Path:
        """The folder of a complete model. Raises ModelUnusable.

        The files are only hashed when they are not the ones that were verified when the model was placed (another size or
        time of change), so this is quick at every start and still notices a file that was edited or copied over. Those of which there is no record, as
        in a cache, are hashed once by each store.
        """
        self.check(name)
        if not self.is_as_verified(name):
            folder = self.folder(name)
            seen = records(folder, self.model(name))
            if self._found_right.get(folder) != seen:
                self.verify(name)
                self._found_right[folder] = seen
        return self.folder(name)

    def folder(self, name: str) -> Path:
        """Where the model lies or will lie, by its name and not by its alias. Raises ModelUnusable for an unknown name."""
        return self._place(self._entry(name).name)

    def is_packaged(self, name: str) -> bool:
        """Whether the model that is used is a package's, and not one of the store's own. Raises ModelUnusable for an unknown name."""
        folder = self.folder(name)
        return folder.parent == self._packaged

    def is_cached(self, name: str) -> bool:
        """Whether the model that is used lies in the cache. Raises ModelUnusable for an unknown name."""
        return self.folder(name).parent not in self._roots

    def places(self, name: str) -> list[Path]:
        """Where a model of that name may lie, the first that is there being the one."""
        cached = self._cached(name)
        return [*(root / name for root in self._roots), *([cached] if cached else [])]

    @property
    def _roots(self) -> list[Path]:
        return [self.root, *([self._packaged] if self._packaged else [])]

    def _place(self, name: str) -> Path:
        # Whatever lies in the store goes first: somebody has put it there.
        own = next((root / name for root in self._roots if os.path.lexists(root / name)), None)
        return own or self._cached(name) or self.root / name

    def _cached(self, name: str) -> Path | None:
        """The folder of the catalog's model of that name in the cache. One that cannot be read has none, and `check` says so."""
        with suppress(OSError):
            return self._held(name)
        return None

    def _held(self, name: str) -> Path | None:
        return hub_cache.held(self._cache, self.catalog.get(name)) if self._cache and name in self.catalog else None

    def model(self, name: str) -> Model:
        """The catalog's entry, in which files without a sum have the one that they had at their first pull.

        A model that was imported with other files than the catalog's has an entry of its own, in its record.
        """
        model = self._entry(name)
        return model.pinned(recorded(self._place(model.name), model))

    def models(self) -> list[Model]:
        """All that the catalog knows, and what was imported besides, by their entries."""
        found = {model.name: self.model(model.name) for model in self.catalog}
        return [*found.values(), *(model for model in self._own() if model.name not in found)]

    def _own(self) -> list[Model]:
        found: dict[str, Model] = {}
        for root in self._roots:
            with suppress(OSError):
                folders = sorted(path for path in root.iterdir() if not path.name.startswith("."))
                found = {model.name: model for folder in folders if (model := recorded_entry(folder))} | found
        return list(found.values())

    def _entry(self, name: str) -> Model:
        known = self.catalog.get(name) if name in self.catalog else None
        own = recorded_entry(self._place(known.name if known else name)) if known or NAME.fullmatch(name) else None
        return own or known or self.catalog.get(name)

    def check(self, name: str) -> None:
        """Raise ModelUnusable unless every file of the model is there, readable and of the right size. Reads no content."""
        model = self.model(name)
        name, folder = model.name, self._place(model.name)
        mode = self._mode(folder, name)
        if mode is None:
            raise ModelMissing(f"The model {name} is not in {self.root}{self._not_cached(name)}")
        if not stat.S_ISDIR(mode):
            raise ModelUnusable(f"{folder} is not a folder. Remove it, then {self._cure(name)}.")
        _check_files(
            folder,
            model.files,
            f"The model {name} in {folder} is half downloaded",
            sentence(self._cure(name)),
        )

    def verify(self, name: str) -> None:
        """Compare every byte with the catalog's sha256 sums. Raises ModelUnusable."""
        self.check(name)
        model = self.model(name)
        folder = self._place(model.name)
        if model.unverified:
            raise ModelUnusable(
                f"The model {model.name} in {folder} cannot be verified: the catalog has no sum for {', '.join(model.unverified)}, "
                f"and none was recorded. {sentence(self._cure(model.name, again=True))}"
            )
        for file, expected in model.files.items():
            fault = difference(folder / file, expected)
            if fault:
                raise ModelUnusable(
                    f"The model {model.name} in {folder} is damaged: {fault}. {sentence(self._cure(model.name, again=True))}"
                )

    def is_as_verified(self, name: str) -> bool:
        """Whether the files are untouched since they were last compared with their sums."""
        model = self.model(name)
        folder = self._place(model.name)
        return read_manifest(folder).get("files") == records(folder, model)

    def installed(self) -> list[Installed]:
        """The complete models, by size of the files and not by their sums."""
        found = []
        for model in self.models():
            try:
                self.check(model.name)
            except ModelUnusable:
                continue
            folder = self._place(model.name)
            source = read_manifest(folder).get("source")
            found.append(
                Installed(
                    model.name,
                    folder,
                    model.size,
                    source if isinstance(source, str) else None,
                )
            )
        return found

    def check_folder(self, folder: Path) -> None:
        """Raise ModelUnusable unless a folder that the user named can be a model: files there, readable and not cut short.

        The sizes are known when the folder comes from a store of ours or from a hub's cache.
        """
        cure = (
            "Set model.path (or WHISPER_MODEL_PATH) to a complete model, or leave it unset and "
            f"{self._cure('NAME')} (`hailo-whisper models list` shows the names)."
        )
        if not os.path.lexists(folder):
            raise ModelUnusable(f"The model folder {folder} does not exist. {cure}")
        if not folder.is_dir():
            raise ModelUnusable(f"The model folder {folder} is not a folder. {cure}")
        _check_files(folder, self._known_files(folder), f"The model folder {folder} is incomplete", cure)

    def _known_files(self, folder: Path) -> dict[str, File | None]:
        known: dict[str, File | None] = dict.fromkeys(REQUIRED)
        # A hub's cache: models--OWNER--NAME/snapshots/REVISION.
        repository = folder.absolute().parent.parent.name.removeprefix("models--").replace("--", "/")
        recorded = read_manifest(folder).get("model")
        own = recorded_entry(folder)
        for model in [own] if own else self.catalog:
            hub = model.sources.hub
            if model.name == recorded or (hub and (hub.repository, hub.revision) == (repository, folder.name)):
                known |= model.files
        return known

    def _mode(self, folder: Path, name: str) -> int | None:
        try:
            return folder.stat().st_mode
        except PermissionError as error:
            raise ModelUnusable(forbidden(f"The model {name} in {folder}")) from error
        except OSError:
            return None

    def _not_cached(self, name: str) -> str:
        """What is said of the cache where a model is not in the store: the end of that sentence, and the cure."""
        try:
            self._held(name)
        except PermissionError:
            return f". {forbidden(f'The cache {self._cache}')}"
        except OSError as error:
            return f". The cache {self._cache} cannot be read: {error.strerror}. {sentence(self._cure(name))}"
        return f"{f', nor in the cache {self._cache}' if self._cache else ''}. {sentence(self._cure(name))}"

    def _cure(self, name: str, *, again: bool = False) -> str:
        return pulling(name, again=again, command=self._pull_command, root=self.root)


def _check_files(folder: Path, files: Mapping[str, File | None], fault: str, cure: str) -> None:
    for name, expected in files.items():
        path = folder / name
        try:
            status = path.stat()
        except PermissionError as error:
            raise ModelUnusable(forbidden(str(path))) from error
        except OSError:
            raise ModelUnusable(f"{fault}: {name} is missing. {cure}") from None
        if not stat.S_ISREG(status.st_mode):
            raise ModelUnusable(f"{fault}: {name} is not a file. {cure}")
        size = expected.size if expected else None
        if status.st_size == 0 and size is None:
            raise ModelUnusable(f"{fault}: {name} is empty. {cure}")
        if size is not None and status.st_size != size:
            raise ModelUnusable(f"{fault}: {name} has {status.st_size} of {size} bytes. {cure}")
        if not os.access(path, os.R_OK):
            raise ModelUnusable(forbidden(str(path)))

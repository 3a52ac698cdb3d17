"""Which model is to be loaded: the one that is configured, or the first of its stand-ins that can be used."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from ..accelerators import hailo
from ..engines.launch import Found, fingerprint
from ..failure import Failure
from ..models import format as formats
from ..models import hefs
from ..models.catalog import Model
from ..models.store import Store
from ..models.unusable import ModelUnusable

PROCESS_MB = 200
"""What a worker needs beside the files of its model, about."""


class Choice:
    """Finds a model again and again: what is there changes while the server runs.

    `engine` is that of the models that can be loaded, as the catalog calls it; None: every one can be. With a `path`, the model
    `name` is the folder of that path. One that needs more memory than `most_mb` is refused. Each method blocks.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        *,
        engine: str | None,
        path: Path | None = None,
        fallback: Sequence[str] = (),
        most_mb: int | None = None,
    ) -> None:
        self._store = store
        self._name = name
        self._engine = engine
        self._path = path
        self._fallback = fallback
        self._most_mb = most_mb
        # What was found unusable, with what its folder was like: gigabytes are not hashed again until that changes.
        self._refused: dict[Path, tuple[object, ModelUnusable]] = {}

    def find(self) -> Found:
        """The model, verified. Raises ModelUnusable, which says what is wrong with the configured one."""
        try:
            return self._own(self._path) if self._path else self._stored(self._name)
        except ModelUnusable as error:
            for name in self._fallback:
                try:
                    found = self._stored(name)
                except ModelUnusable:
                    continue
                reason = f"The model {name} stands in for {self._name} (model.fallback). {error}"
                return replace(found, fallback_for=self._name, reason=reason)
            if self._fallback:
                raise ModelUnusable(f"{error} Of model.fallback, none can be used either: {', '.join(self._fallback)}.") from None
            raise

    def _stored(self, name: str) -> Found:
        model = self._store.model(name)
        if self._engine and (model.kind, model.engine) != ("stt", self._engine):
            others = [each.name for each in self._store.models() if (each.kind, each.engine) == ("stt", self._engine)]
            what = f"for the engine {model.engine}" if model.kind == "stt" else f"not for speech recognition ({model.kind})"
            raise ModelUnusable(
                f"The model {name} is {what}, and this service needs one for {self._engine}. Use one of: {', '.join(others)}."
            )
        if self._most_mb is not None and model.memory_mb > self._most_mb:
            raise ModelUnusable(
                f"The model {name} needs {model.memory_mb} MB of memory, and all models together may have {self._most_mb}. "
                "Raise models.memory_mb, or offer a smaller one."
            )
        folder = self._store.folder(model.name)
        self._unless_refused(folder, lambda: self._store.path(model.name))
        return Found(model.name, folder, _weights_sum(model), memory_mb=model.memory_mb, names=(model.name, *model.aliases))

    def _own(self, folder: Path) -> Found:
        def check() -> None:
            if self._engine:
                formats.check_whisper(folder)
            self._store.check_folder(folder)

        self._unless_refused(folder, check)
        # Nobody has compared it with anything, so there is no sum to tell.
        size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
        return Found(self._name, folder, memory_mb=size // 1_000_000 + PROCESS_MB)

    def _unless_refused(self, folder: Path, check: Callable[[], object]) -> None:
        # Before it is looked at, so that what changes meanwhile is not missed.
        seen = fingerprint(folder)
        before, error = self._refused.get(folder, (None, None))
        if error and before == seen:
            raise type(error)(str(error))
        try:
            check()
        except ModelUnusable as found:
            self._refused[folder] = seen, found
            raise


class HefChoice:
    """Finds the model for the Hailo NPU again and again, in the best form that this device takes and that is here.

    `resources` is the folder of hailo-apps. Each method blocks.
    """

    def __init__(self, store: Store, name: str, *, path: str | None, resources: Path) -> None:
        self._store = store
        self._name = name
        self._path = path
        self._resources = resources
        # As Choice has it: the files of the store with what they were like when they were found unusable.
        self._refused: tuple[object, ModelUnusable] | None = None

    def find(self) -> Found:
        """The model, verified where it has a sum. Raises ModelUnusable."""
        architecture, genai = hailo.architecture(), hailo.genai()
        seen = (architecture, genai, [fingerprint(folder) for folder in self._folders(architecture, genai)])
        if self._refused and self._refused[0] == seen:
            error = self._refused[1]
            raise type(error)(str(error))
        try:
            found = hefs.find(self._name, self._path, self._store, self._resources, architecture, genai=genai)
        except ModelUnusable as error:
            self._refused = seen, error
            raise
        if found.stored is None:
            return Found(self._name, found.path)
        model = self._store.model(found.stored)
        return Found(self._name, found.path, _weights_sum(model), memory_mb=model.memory_mb, names=(model.name, *model.aliases))

    def _folders(self, architecture: str | None, genai: bool) -> list[Path]:
        """Where the model may appear, or change."""
        if self._path:
            return [Path(self._path)]
        looked = hefs.places(self._name, self._resources, architecture, genai=genai)
        here = [path for name in (self._name, *(place.stored for place in looked)) for path in self._store.places(name)]
        return [*here, *(place.kept for place in looked)]


class Finding(Protocol):
    """A way to find a model."""

    def find(self) -> Found:
        """The model, verified. Raises ModelUnusable."""
        ...


class Finder:
    """Finds a model, by a choice that is made anew when something in the folder of the catalog has changed.

    What is wrong there is no reason not to start: it is told as what is wrong with a model is.
    """

    def __init__(self, catalog: Path, choose: Callable[[], Finding]) -> None:
        self._catalog = catalog
        self._choose = choose
        self._seen: object = None
        self._choice: Finding | None = None
        self._error: Failure | None = None

    def __call__(self) -> Found:
        """The model (see Choice.find). Raises Failure for a catalog that cannot be read."""
        seen = fingerprint(self._catalog)
        if seen != self._seen:
            self._choice = self._error = None
            try:
                self._choice = self._choose()
            except Failure as error:
                self._error = error
            self._seen = seen
        if self._choice is None:
            raise Failure(str(self._error))
        return self._choice.find()


def _weights_sum(model: Model) -> str | None:
    """The sum of the largest file, which `Store.path` has just found to be right."""
    return max(model.files.values(), key=lambda file: file.size or 0).sha256

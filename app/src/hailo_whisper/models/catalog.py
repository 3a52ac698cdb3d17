"""The catalog: which models exist, what each consists of and where it can come from. Data files, one a family."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..failure import Failure
from .mistakes import sentence
from .unusable import ModelUnusable

PACKAGED = Path(__file__).with_name("data")
COMMIT = re.compile(r"[0-9a-f]{40}")

# Names become folders and files, so they may not wander off, hide or pass for an option.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
Name = Annotated[str, Field(pattern=rf"^{NAME.pattern}$")]
# A path within a repository: names, joined by slashes.
Inside = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)*$", max_length=300)]
Address = Annotated[str, Field(pattern=r"^https?://[^\s/]+/\S+$")]
Size = Annotated[int, Field(gt=0)]
Class = Annotated[int, Field(ge=1, le=5)]
Kind = Literal["stt", "tts", "embeddings"]
Read = TypeVar("Read", bound=BaseModel)


class CatalogInvalid(Failure):
    """A data file of the catalog breaks the schema. The message names the file and the place in it."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class File(_Entry):
    """One file of a model: what its bytes must be, wherever they come from.

    Without a sum it is unverified: the sum that is seen at the first pull is recorded, and holds from then on.
    """

    size: Size | None = None
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")


class Hub(_Entry):
    """A repository on a model hub, pinned to one commit. `unverified` says what nobody has checked.

    `files` gives the places of those files that are called otherwise in the repository.
    """

    repository: str = Field(pattern=r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")
    revision: str = Field(pattern=r"^[A-Za-z0-9][\w.-]*$")
    unverified: str | None = None
    files: dict[Name, Inside] = {}

    @model_validator(mode="after")
    def _pinned(self) -> Self:
        if not self.unverified and not COMMIT.fullmatch(self.revision):
            raise ValueError("revision must be a commit of 40 hexadecimal digits, or unverified must say why it is a branch")
        return self


class Package(_Entry):
    """One wheel: its exact version, and its size in bytes for the progress and the disk check."""

    version: str = Field(pattern=r"^[0-9][A-Za-z0-9.+!]*$")
    size: Size


class Part(_Entry):
    """A member of a wheel. A file is its parts, joined in order."""

    package: Name
    member: str


class Wheels(_Entry):
    """Packages that carry the files of a model as package data."""

    packages: dict[Name, Package]
    files: dict[Name, Annotated[list[Part], Field(min_length=1)]]


class Sources(_Entry):
    """Where a model can come from, beside a folder or a mirror that the user names. `https` has the address of each file."""

    hub: Hub | None = None
    wheels: Wheels | None = None
    https: dict[Name, Address] | None = None


class Requires(_Entry):
    """What a machine must have: the least version of HailoRT, and the architectures that a HEF was compiled for."""

    hailort: str = Field(pattern=r"^[0-9]+(\.[0-9]+)*$")
    architecture: Annotated[list[str], Field(min_length=1)]


class Model(_Entry):
    """One model. `memory_mb` is what a process needs that serves it, in MB (10^6 bytes).

    `quality` and `speed` are classes from 1 to 5, the best and the fastest of its kind; None where nobody has judged.
    `size_mb` is about what is fetched, for a model with files whose sizes nobody knows yet.
    """

    name: Name
    aliases: list[Name] = []
    kind: Kind = "stt"
    description: str
    family: str
    engine: str
    licence: str
    languages: Annotated[list[str], Field(min_length=1)]
    memory_mb: Annotated[int, Field(gt=0)]
    size_mb: Annotated[int, Field(gt=0)] | None = None
    quality: Class | None = None
    speed: Class | None = None
    requires: Requires | None = None
    files: Annotated[dict[Name, File], Field(min_length=1)]
    sources: Sources

    @property
    def multilingual(self) -> bool:
        """Whether the model knows more than one language."""
        return len(self.languages) > 1

    @property
    def size(self) -> int:
        """The bytes of all files together; about so many where a size is not known."""
        known = sum(file.size or 0 for file in self.files.values())
        return known if all(file.size for file in self.files.values()) else max(known, (self.size_mb or 0) * 1_000_000)

    @property
    def unverified(self) -> list[str]:
        """The files whose sums nobody has verified yet."""
        return [name for name, file in self.files.items() if file.sha256 is None]

    def pinned(self, seen: Mapping[str, File]) -> Self:
        """The same model, whose unverified files must be the ones that were seen before."""
        return self.model_copy(update={"files": {name: _pin(file, seen.get(name)) for name, file in self.files.items()}})

    @model_validator(mode="after")
    def _sources_make_every_file(self) -> Self:
        sources = self.sources
        if sources.wheels is not None:
            _same("files and sources.wheels.files", sources.wheels.files.keys(), self.files.keys())
            used = {part.package for parts in sources.wheels.files.values() for part in parts}
            packages = sources.wheels.packages.keys()
            _same("sources.wheels.packages and the packages that the files name", used, packages)
        if sources.https is not None:
            _same("files and sources.https", sources.https.keys(), self.files.keys())
        if sources.hub is not None:
            _same("sources.hub.files and the model's files", sources.hub.files.keys() - self.files.keys(), set())
        return self

    @model_validator(mode="after")
    def _sized(self) -> Self:
        if self.size == 0:
            raise ValueError("size_mb must say about how many MB are fetched, because no file has a size")
        return self


def _pin(file: File, seen: File | None) -> File:
    if file.sha256 is not None or seen is None:
        return file
    return File(size=file.size or seen.size, sha256=seen.sha256)


def _same(what: str, some: Iterable[str], others: Iterable[str]) -> None:
    odd = set(some) ^ set(others)
    if odd:
        raise ValueError(f"{what} differ in {', '.join(sorted(odd))}")


class _Family(_Entry):
    schema_version: Literal[1]
    family: str
    engine: str
    kind: Kind = "stt"
    models: list[dict[str, object]]


class Catalog:
    """The known models, by name and by alias: those for speech recognition first, else in the order of the data files."""

    def __init__(self, models: list[Model]) -> None:
        kinds = get_args(Kind)
        self._models = {model.name: model for model in sorted(models, key=lambda model: kinds.index(model.kind))}
        # A name goes before an alias: whoever adds a model of a packaged alias' name means that model.
        aliases = {alias: model for model in models for alias in model.aliases}
        self._known = aliases | self._models

    def __iter__(self) -> Iterator[Model]:
        return iter(self._models.values())

    def __contains__(self, name: object) -> bool:
        return name in self._known

    def get(self, name: str) -> Model:
        """The model of that name or alias. Raises ModelUnusable, with the nearest names, when there is none."""
        try:
            return self._known[name]
        except KeyError:
            known = ", ".join(self._models) or "none"
            by_lower = {each.lower(): each for each in self._known}
            close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
            hint = f" Did you mean {by_lower[close[0]]}?" if close else ""
            message = (
                f"There is no model called {name!r}.{hint} Known models: {known}. `hailo-whisper models list` describes them."
            )
            raise ModelUnusable(message) from None


def load(folder: Path = PACKAGED, extra: Path | None = None) -> Catalog:
    """Read every `*.yaml` in the folder, and in `extra` when there is such a folder, whose models replace those of the same name.

    Raises CatalogInvalid for a file that breaks the schema or repeats a name.
    """
    models = _read_all(folder)
    if extra is not None:
        models |= _read_all(extra)
    return Catalog(list(models.values()))


def _read_all(folder: Path) -> dict[str, Model]:
    models: dict[str, Model] = {}
    aliases: dict[str, str] = {}
    for path in sorted(_data_files(folder)):
        for model in _read(path):
            if model.name in models:
                raise CatalogInvalid(f"{path}: the model {model.name} is already defined by another file or entry. Rename one.")
            models[model.name] = model
            for alias in model.aliases:
                if aliases.setdefault(alias, model.name) != model.name:
                    raise CatalogInvalid(f"{path}: {alias} is an alias of {aliases[alias]} and of {model.name}. Remove one.")
    for alias, name in aliases.items():
        if alias in models:
            raise CatalogInvalid(f"{folder}: {alias} is the name of a model and an alias of {name}. Remove the alias.")
    return models


def _data_files(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.suffix == ".yaml" and not path.name.startswith(".")]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise CatalogInvalid(
            f"The catalog folder {folder} cannot be read: {error.strerror}. Mend its owner and mode (755), or set models.catalog."
        ) from error


def _read(path: Path) -> list[Model]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CatalogInvalid(
            f"The catalog file {path} cannot be read: {' '.join(str(error).split())}. Mend or remove it."
        ) from error
    family = _checked(_Family, data, path, "")
    shared = {"family": family.family, "engine": family.engine}
    return [
        _checked(Model, {"kind": family.kind} | entry | shared, path, f"models.{index}{_called(entry)}: ")
        for index, entry in enumerate(family.models)
    ]


def _checked(kind: type[Read], data: object, path: Path, place: str) -> Read:
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        faults = "; ".join(sentence(kind, dict(fault)) for fault in error.errors())
        raise CatalogInvalid(f"The catalog file {path} breaks the schema: {place}{faults}. Mend or remove it.") from None


def _called(entry: dict[str, object]) -> str:
    return f" ({entry['name']})" if isinstance(entry.get("name"), str) else ""

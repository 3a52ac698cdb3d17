"""The catalog: which models exist, what each consists of and where it can come from. Data files, one a family."""

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..failure import Failure
from .unusable import ModelUnusable

PACKAGED = Path(__file__).with_name("data")

# Names become folders and files, so they may not wander off, hide or pass for an option.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
Size = Annotated[int, Field(gt=0)]


class CatalogInvalid(Failure):
    """A data file of the catalog breaks the schema. The message names the file and the place in it."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class File(_Entry):
    """One file of a model: what its bytes must be, wherever they come from."""

    size: Size
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Hub(_Entry):
    """A repository on a model hub, pinned to one commit. `unverified` says what nobody has checked."""

    repository: str = Field(pattern=r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")
    revision: str = Field(pattern=r"^[0-9a-f]{40}$")
    unverified: str | None = None


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
    """Where a model can come from, beside a folder that the user names."""

    hub: Hub | None = None
    wheels: Wheels | None = None


class Model(_Entry):
    """One model. `memory_mb` is what a process needs that serves it, in MB (10^6 bytes)."""

    name: Name
    description: str
    family: str
    engine: str
    licence: str
    languages: Annotated[list[str], Field(min_length=1)]
    memory_mb: Annotated[int, Field(gt=0)]
    files: Annotated[dict[Name, File], Field(min_length=1)]
    sources: Sources

    @property
    def multilingual(self) -> bool:
        """Whether the model knows more than one language."""
        return len(self.languages) > 1

    @property
    def size(self) -> int:
        """The bytes of all files together."""
        return sum(file.size for file in self.files.values())

    @model_validator(mode="after")
    def _wheels_make_every_file(self) -> Self:
        wheels = self.sources.wheels
        if wheels is None:
            return self
        if wheels.files.keys() != self.files.keys():
            odd = ", ".join(sorted(wheels.files.keys() ^ self.files.keys()))
            raise ValueError(f"files and sources.wheels.files differ in {odd}")
        used = {part.package for parts in wheels.files.values() for part in parts}
        if used != wheels.packages.keys():
            odd = ", ".join(sorted(used ^ wheels.packages.keys()))
            raise ValueError(f"sources.wheels.packages and the packages that the files name differ in {odd}")
        return self


class _Family(_Entry):
    schema_version: Literal[1]
    family: str
    engine: str
    models: list[dict[str, object]]


class Catalog:
    """The known models, by name, in the order of the data files."""

    def __init__(self, models: list[Model]) -> None:
        self._models = {model.name: model for model in models}

    def __iter__(self) -> Iterator[Model]:
        return iter(self._models.values())

    def __contains__(self, name: object) -> bool:
        return name in self._models

    def get(self, name: str) -> Model:
        """The model of that name. Raises ModelUnusable, with the nearest names, when there is none."""
        try:
            return self._models[name]
        except KeyError:
            known = ", ".join(self._models) or "none"
            close = difflib.get_close_matches(name.lower(), self._models, n=1, cutoff=0.5)
            hint = f" Did you mean {close[0]}?" if close else ""
            message = (
                f"There is no model called {name!r}.{hint} Known models: {known}. `hailo-whisper models list` describes them."
            )
            raise ModelUnusable(message) from None


def load(folder: Path = PACKAGED) -> Catalog:
    """Read every `*.yaml` in the folder. Raises CatalogInvalid for a file that breaks the schema or repeats a name."""
    models: dict[str, Model] = {}
    for path in sorted(folder.glob("*.yaml")):
        for model in _read(path):
            if model.name in models:
                raise CatalogInvalid(f"{path}: the model {model.name} is already defined by another file or entry. Rename one.")
            models[model.name] = model
    return Catalog(list(models.values()))


def _read(path: Path) -> list[Model]:
    try:
        family = _Family.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        shared = {"family": family.family, "engine": family.engine}
        return [Model.model_validate(entry | shared) for entry in family.models]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CatalogInvalid(f"The catalog file {path} cannot be read: {error}. Mend or remove it.") from error
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(step) for step in fault['loc']) or 'the entry'}: {fault['msg']}" for fault in error.errors()
        )
        raise CatalogInvalid(f"The catalog file {path} breaks the schema: {faults}. Mend or remove it.") from error

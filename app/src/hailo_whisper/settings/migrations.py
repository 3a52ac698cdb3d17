"""What became of the settings from one schema_version to the next.

A file of a layout of before is read as it was meant, and never rewritten unless somebody asks for it (`hailo-whisper config migrate`). Whoever
takes a key away, renames it or gives its value another meaning raises SCHEMA_VERSION and puts what is to be done into MIGRATIONS.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .schema import SCHEMA_VERSION


@dataclass(frozen=True)
class Renamed:
    """A key that is called otherwise, or has moved to another section. Both are written as `section.key`."""

    key: str
    new: str

    @property
    def fate(self) -> str:
        """What to tell of it."""
        return f"{self.key} is called {self.new} now"


@dataclass(frozen=True)
class Gone:
    """A key that is no more. `why` is a part of a sentence, and says what does its work."""

    key: str
    why: str

    @property
    def fate(self) -> str:
        """What to tell of it."""
        return f"{self.key} is gone: {self.why}"


@dataclass(frozen=True)
class Changed:
    """A key whose value means something else. `convert` makes the new one of the old one, and leaves alone what it does not know."""

    key: str
    convert: Callable[[Any], Any] = field(compare=False)
    why: str

    @property
    def fate(self) -> str:
        """What to tell of it."""
        return f"{self.key} has another meaning: {self.why}"


Step = Renamed | Gone | Changed

MIGRATIONS: dict[int, tuple[Step, ...]] = {}
"""What is to be done with a file, in this order, by the version that it leads from; each leads to the next one."""


@dataclass(frozen=True)
class Migrated:
    """Settings in the current layout. `notes` tells what was done, `version` is that of the file."""

    data: dict[str, Any]
    version: int
    notes: tuple[str, ...]


def version_of(data: Mapping[str, Any]) -> int | None:
    """The layout of a file: of one that does not say, the oldest that is known. None for what is no version, or one that is not known."""
    oldest = min(MIGRATIONS, default=SCHEMA_VERSION)
    said = data.get("schema_version", oldest)
    if isinstance(said, bool) or not isinstance(said, int):
        return None
    return said if oldest <= said <= SCHEMA_VERSION else None


def steps(version: int) -> Iterator[Step]:
    """What is to be done with a file of that layout."""
    for each in range(version, SCHEMA_VERSION):
        yield from MIGRATIONS.get(each, ())


def migrate(data: Mapping[str, Any]) -> Migrated:
    """The settings of a file in the current layout. What cannot be migrated stays as it is, and is refused by the schema.

    A key that is given by its old and by its new name is such a case: nobody knows which of the two is meant.
    """
    version = version_of(data)
    if version is None:
        return Migrated(dict(data), SCHEMA_VERSION, ())
    moved: dict[str, Any] = {key: dict(value) if isinstance(value, Mapping) else value for key, value in data.items()}
    notes = [step.fate for step in steps(version) if _take(step, moved)]
    if version != SCHEMA_VERSION and "schema_version" in moved:
        moved["schema_version"] = SCHEMA_VERSION
    return Migrated(moved, version, tuple(notes))


def _take(step: Step, data: dict[str, Any]) -> bool:
    """Do one step. Returns whether it concerned the file."""
    name, _, key = step.key.partition(".")
    section = data.get(name)
    if not isinstance(section, dict) or key not in section:
        return False
    if isinstance(step, Changed):
        section[key] = step.convert(section[key])
    elif isinstance(step, Gone):
        del section[key]
    else:
        other, _, new = step.new.partition(".")
        # A section whose every line is a comment reads as null.
        target = {} if data.get(other) is None else data[other]
        if not isinstance(target, dict) or new in target:
            return False
        data[other] = target
        target[new] = section.pop(key)
    if not section:
        # A section that is no more would be refused.
        del data[name]
    return True


def fate(key: str) -> str | None:
    """What became of a key (`section.key`) that is not known any more, as a sentence; None for one that never was."""
    for version, done in MIGRATIONS.items():
        for step in done:
            if step.key == key and not isinstance(step, Changed):
                return f"Since schema_version {version + 1}, {step.fate}."
    return None

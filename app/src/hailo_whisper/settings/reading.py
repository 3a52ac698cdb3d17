"""The settings in force: what the files say, the YAML in /etc/hailo or the JSON in the XDG folders, and the environment over them."""

import json
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_origin

import yaml
from pydantic import ValidationError

from ..failure import Failure
from . import migrations
from .mistakes import listed, nearest, sentence
from .schema import SCHEMA_VERSION, Settings, sections
from .strangers import meant_for_others

log = logging.getLogger(__name__)

SOURCE = Path("/etc/hailo/hailo-whisper.yaml")
LINE = "Mend that line."
RENDERED = Path("hailo-whisper/hailo-whisper.json")
PREFIX = "HAILO_WHISPER_"
# The name that the voice pipelines and compose files of the field already use for the folder of the model.
ALIASES = {"WHISPER_MODEL_PATH": ("model", "path")}


class ConfigurationInvalid(Failure):
    """The configuration breaks the schema. The message lists every mistake and its cure, one a line."""


class ConfigurationMissing(Failure):
    """No configuration file lies where it was looked for."""


def parse(data: object, origin: str) -> Settings:
    """Check `data`, as read from YAML or JSON, against the schema; `origin` names it in the messages. A layout of before is read as it was meant.

    Raises ConfigurationInvalid with every mistake at once.
    """
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise ConfigurationInvalid(f"{origin}: the file must hold sections such as `server:`, not a {type(data).__name__}.")
    # A section whose every line is commented out reads as null, and means its defaults.
    data = {key: {} if value is None and key in sections() else value for key, value in data.items()}
    try:
        return Settings.model_validate(migrations.migrate(data).data)
    except ValidationError as error:
        raise ConfigurationInvalid("\n".join(f"{origin}: {sentence(dict(item))}" for item in error.errors())) from None


def read(path: Path) -> dict[str, Any]:
    """The mapping in a YAML or JSON file (JSON is YAML). Raises ConfigurationMissing or ConfigurationInvalid."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigurationMissing(
            f"There is no {path}. Write one (the package's config/hailo-whisper.yaml shows every setting), or name another file."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationInvalid(
            f"{path} cannot be read: {error}. Check its owner, its mode and that it is UTF-8 text."
        ) from None
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigurationInvalid(f"{path} is not valid YAML: {' '.join(str(error).split())}. {LINE}") from None
    if data is not None and not isinstance(data, dict):
        raise ConfigurationInvalid(f"{path}: the file must hold sections such as `server:`, not a {type(data).__name__}.")
    return data or {}


def candidates(environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Where the rendered JSON may lie, in the order of the XDG Base Directory Specification 0.8."""
    home = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME") or "/") / ".config")
    dirs = environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    # The specification says that a relative path in these variables is to be ignored.
    return [Path(folder) / RENDERED for folder in [home, *dirs.split(":")] if Path(folder).is_absolute()]


def load(path: Path | None = None, *, environ: Mapping[str, str] = os.environ, missing_ok: bool = False) -> Settings:
    """The settings in force: the file (`path`, else the first of `candidates`), then the environment over it.

    With `missing_ok`, no file means the defaults; a `path` that was asked for must be there all the same.
    Raises ConfigurationMissing, ConfigurationInvalid.
    """
    if path is None:
        places = candidates(environ)
        path = next((place for place in places if place.is_file()), None)
        if path is None and not missing_ok:
            raise ConfigurationMissing(
                f"No configuration was found: looked for {', '.join(map(str, places))}. "
                f"Run `hailo-whisper config render` to make it from {SOURCE}, or name a file with --config."
            )
        path, data = _rendered(path) if path else (None, {})
    else:
        data = read(path)
    # The file is checked by itself first, so that a mistake in it is told of by its own name.
    settings = parse(data, str(path)) if path else Settings()
    overrides = dict(_overrides(environ))
    if not overrides:
        return settings
    merged: dict[str, Any] = settings.model_dump()
    for (section, key), value in overrides.items():
        merged[section][key] = value
    return parse(merged, "environment")


def kept(path: Path, version: int = SCHEMA_VERSION) -> Path:
    """Where the last rendered JSON of another layout is kept, for the program that reads that one, should it come back."""
    return path.with_name(f"{path.stem}.schema-{version}{path.suffix}")


def _rendered(path: Path) -> tuple[Path, dict[str, Any]]:
    """The rendered file and what it holds; those of before it, when a newer version of the program has made it and that one is there."""
    data = _whole(path)
    version = data.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION and kept(path).is_file():
        log.warning(
            "%s was made by a newer version (schema_version %s): %s is in force, which was before it. Mend %s, and run `hailo-whisper config render`.",
            path,
            version,
            kept(path),
            SOURCE,
        )
        return kept(path), _whole(kept(path))
    return path, data


def _whole(path: Path) -> dict[str, Any]:
    """What a rendered file holds. No person writes it, so what cannot be read in it is damage, and so is a file that is empty.

    Taken for the defaults, that one would have the service forget its keys and its model after a power cut.
    """
    try:
        data = read(path)
    except ConfigurationInvalid as error:
        if isinstance(error.__context__, OSError):
            raise
        fault = str(error).removesuffix(LINE).strip()
    else:
        if data or path.stat().st_size:
            return data
        fault = f"{path} is empty."
    raise ConfigurationInvalid(
        f"{fault} Run `hailo-whisper config render`, which makes it anew from {SOURCE}; the service goes on by itself then."
    )


def dump(settings: Settings) -> str:
    """The settings as the JSON text that `config render` writes: every key, indented, newline at the end."""
    return json.dumps(settings.model_dump(), indent=2, ensure_ascii=False) + "\n"


def names() -> dict[str, tuple[str, str]]:
    """Every environment variable that sets something, with the section and key that it sets."""
    found = {
        f"{PREFIX}{section}_{key}".upper(): (section, key) for section, model in sections().items() for key in model.model_fields
    }
    return found | ALIASES


def _overrides(environ: Mapping[str, str]) -> Iterator[tuple[tuple[str, str], Any]]:
    known = names()
    for name, text in environ.items():
        if meant_for_others(name, text):
            continue
        if name in known:
            try:
                yield known[name], yaml.safe_load(text) if text else None
            except yaml.YAMLError:
                section, key = known[name]
                field = sections()[section].model_fields[key]
                cure = f"Write it as a list, {listed(text)}." if get_origin(field.annotation) is list else "Put it in quotes."
                raise ConfigurationInvalid(f"environment: {name} cannot be read as a value: {text!r}. {cure}") from None
        elif name.startswith(PREFIX):
            former = {
                f"{PREFIX}{step.key}".replace(".", "_").upper(): step.key
                for done in migrations.MIGRATIONS.values()
                for step in done
            }
            became = migrations.fate(former[name]) if name in former else None
            raise ConfigurationInvalid(f"environment: {name} sets nothing.{f' {became}' if became else nearest(name, known)}")

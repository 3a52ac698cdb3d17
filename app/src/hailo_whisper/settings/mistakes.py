"""Mistakes in a configuration, as sentences that say what may have been meant."""

import difflib
import json
from collections.abc import Mapping
from typing import Any

from . import migrations
from .schema import SCHEMA_VERSION, Settings, sections


def nearest(word: str, known: Mapping[str, Any], prefix: str = "") -> str:
    """The known word that may have been meant, or all of them, as a sentence to put behind another."""
    # Without the prefix, which would make everything that shares it look alike.
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f" Did you mean {prefix}{near[0]}?" if near else f" Known are: {', '.join(prefix + name for name in sorted(known))}."


def listed(words: str) -> str:
    """What was written with commas, or is a single word, as a list."""
    found = (word.strip(" '\"[]") for word in words.split(","))
    return json.dumps([word for word in found if word], ensure_ascii=False)


def sentence(error: dict[str, Any]) -> str:
    """One mistake that pydantic found, as a sentence that says what to do."""
    place = [str(part) for part in error["loc"]]
    name = ".".join(place)
    given = error.get("input")
    if error["type"] == "extra_forbidden":
        became = migrations.fate(name)
        if became:
            return f"unknown key {name}. {became}"
        parent = sections().get(place[0]) if len(place) > 1 else Settings
        return f"unknown key {name}.{nearest(place[-1], (parent or Settings).model_fields, name.removesuffix(place[-1]))}"
    if isinstance(given, bool) and error["type"] == "string_type":
        return f'{name} is read as {str(given).lower()} by YAML: put the word in quotes, as in {place[-1]}: "no".'
    if isinstance(given, str) and error["type"] == "list_type":
        return f"{name} is {given!r}: write it as a list, {listed(given)}."
    if name == "schema_version":
        return (
            f"schema_version is {given!r}, and this version of hailo-whisper reads {SCHEMA_VERSION}: install the one it was made for, "
            "or put back the file of before (`hailo-whisper config migrate` keeps it beside the new one)."
        )
    detail = str(error["msg"]).removeprefix("Value error, ")
    detail = detail.replace("Input should be a valid dictionary or instance of", "it should be a section of settings for")
    detail = detail.replace("Input should", "it should").replace("String should", "it should")
    return f"{name} is {given!r}: {detail}." if not detail.endswith(".") else f"{name} is {given!r}: {detail}"

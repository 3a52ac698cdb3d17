"""Models that no catalog knows: somebody's own, in CTranslate2's form."""

import json
import re
from pathlib import Path

from ..failure import Failure
from .catalog import NAME, Model, Sources
from .official import MULTILINGUAL
from .store import REQUIRED
from .sums import seen

VOCABULARIES = ("vocabulary.json", "vocabulary.txt")
OPTIONAL = ("preprocessor_config.json",)
LANGUAGE = re.compile(r"<\|([a-z]{2,3})\|>")
# What a process needs beside the weights, in MB, as measured with the published models.
SPARE_MB = 200


class ForeignUnusable(Failure):
    """A folder is not a model that could be served. The message says why, and what to do."""


def is_model(folder: Path) -> bool:
    """Whether a folder looks like a Whisper model in CTranslate2's form."""
    return all((folder / name).is_file() for name in REQUIRED)


def entry(folder: Path, name: str) -> Model:
    """An entry for the model in a folder, by that name, with the sums that its files have. Raises ForeignUnusable, and OSError."""
    if not NAME.fullmatch(name):
        raise ForeignUnusable(
            f"{name!r} cannot be the name of a model. Give it one of letters, digits, dots and dashes with --name."
        )
    vocabulary = next((each for each in VOCABULARIES if (folder / each).is_file()), None)
    if vocabulary is None:
        raise ForeignUnusable(
            f"{folder} has no vocabulary.json or vocabulary.txt. Convert the model again with ct2-transformers-converter."
        )
    empty = [each for each in (*REQUIRED, vocabulary) if (folder / each).stat().st_size == 0]
    if empty:
        raise ForeignUnusable(f"{folder / empty[0]} is empty. Copy the model again.")
    files = [*REQUIRED, vocabulary, *(each for each in OPTIONAL if (folder / each).is_file())]
    size_mb = (folder / "model.bin").stat().st_size // 1_000_000
    return Model(
        name=name,
        description="Imported: not of the catalog.",
        family="imported",
        engine="ctranslate2",
        licence="unknown",
        languages=_languages(folder, vocabulary),
        memory_mb=size_mb + SPARE_MB,
        files={each: seen(folder / each) for each in files},
        sources=Sources(),
    )


def _languages(folder: Path, vocabulary: str) -> list[str]:
    """The languages by the tokens that the model has for them; only English, when it has not as many tokens as the others."""
    try:
        text = (folder / vocabulary).read_text(encoding="utf-8")
        tokens = json.loads(text) if vocabulary.endswith(".json") else text.removesuffix("\n").split("\n")
        found = [match[1] for token in tokens if isinstance(token, str) and (match := LANGUAGE.fullmatch(token))]
    except (ValueError, TypeError) as error:
        raise ForeignUnusable(f"{folder / vocabulary} is not a vocabulary ({error}). Copy the model again.") from error
    return found if found and len(tokens) >= MULTILINGUAL else ["en"]

"""What a model's package says of itself, from the catalog's entry."""

import email.utils
import re
import textwrap

from contents import notices
from hailo_whisper.failure import Failure
from hailo_whisper.models.catalog import Model

# Who has the rights in the models of a family, as their authors say it.
HOLDERS = {
    "e5": "2024 Microsoft Corporation",
    "kokoro": "2025 hexgrad and the authors of Kokoro-82M",
    "kokoro-torch": "2025 hexgrad and the authors of Kokoro-82M",
    "whisper-ctranslate2": "2022 OpenAI",
    "whisper-distil": "2023 The Hugging Face team",
    "whisper-hailo": "2022 OpenAI",
    "whisper-hailo-pairs": "2022 OpenAI",
}
# Nobody has any in what was given to the public.
PUBLIC = "CC0-1.0"
COLUMNS = 78


class Unlicensed(Failure):
    """Nobody has looked up on which terms a model may be handed on. The message says what to do."""


def package(model: Model) -> str:
    """The name of the package: Debian's have small letters, digits, hyphens and points."""
    return f"hailo-whisper-model-{re.sub(r'[^a-z0-9]+', '-', model.name.lower())}"


def release(changelog: str) -> tuple[str, str, int]:
    """The version in the first entry of a changelog, the line of who released it, and when, in seconds since 1970."""
    version = re.match(r"\S+ \((.+?)\)", changelog)
    trailer = re.search(r"^ -- .+>  (.+)$", changelog, re.MULTILINE)
    if not version or not trailer:
        raise Failure("The changelog has no first entry in Debian's form. Mend packaging/debian/changelog.")
    return version[1], trailer[0], int(email.utils.parsedate_to_datetime(trailer[1]).timestamp())


def changelog(version: str, trailer: str) -> str:
    """Of the package: a version without that of a Debian release, because there is one package for all."""
    return f"hailo-whisper-models ({version}) unstable; urgency=medium\n\n  * The model as the catalog of this version has it.\n\n{trailer}\n"


def control(model: Model) -> str:
    """debian/control."""
    languages = f"{len(model.languages)} languages" if model.multilingual else f"the language {model.languages[0]}"
    about = f"The files of the model {model.name}, {round(model.size / 1e6)} MB, for {languages}: {model.description}"
    how = (
        f"They are put where the service looks for models after its own folder, and have been compared with the sums of its catalog. Set "
        f'model.name to "{model.name}" in /etc/hailo/hailo-whisper.yaml, unless it is the one that is set.'
    )
    return "\n".join(
        [
            "Source: hailo-whisper-models",
            "Section: sound",
            "Priority: optional",
            "Maintainer: hailo-whisper contributors <hailo-whisper@users.noreply.github.com>",
            "Build-Depends: debhelper-compat (= 13)",
            "Standards-Version: 4.6.2",
            "Rules-Requires-Root: no",
            "",
            f"Package: {package(model)}",
            "Architecture: all",
            "Multi-Arch: foreign",
            "Depends: ${misc:Depends}",
            "Enhances: hailo-whisper",
            f"Description: model {model.name} for the speech service hailo-whisper",
            *_indented(about),
            " .",
            *_indented(how),
            "",
        ]
    )


def copyright_of(model: Model) -> str:
    """debian/copyright. Raises Unlicensed."""
    holder = "none, because its makers gave it to the public" if model.licence == PUBLIC else HOLDERS.get(model.family)
    known = model.licence in (*notices.COMMON, *notices.TEXTS, PUBLIC)
    if holder is None or not known:
        raise Unlicensed(
            f"Nobody has looked up who has the rights in the models of {model.family}, or what the licence {model.licence} of {model.name} says. "
            "Look it up, and put it into packaging/model/words.py and packaging/contents/notices.py."
        )
    text = "The text is in /usr/share/common-licenses/CC0-1.0." if model.licence == PUBLIC else notices.known(model.licence)
    hub = model.sources.hub
    return "\n".join(
        [
            "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/",
            f"Upstream-Name: {model.name}",
            *([f"Comment: As published in the repository {hub.repository}."] if hub else []),
            "",
            "Files: *",
            f"Copyright: {holder}",
            f"License: {model.licence}",
            *(f" {line}" if line.strip() else " ." for line in text.splitlines()),
            "",
            "Files: debian/*",
            "Copyright: 2026 hailo-whisper contributors",
            "License: Apache-2.0",
            f" {notices.known('Apache-2.0')}",
            "",
        ]
    )


def _indented(text: str) -> list[str]:
    return textwrap.wrap(text, COLUMNS, initial_indent=" ", subsequent_indent=" ", break_long_words=False, break_on_hyphens=False)

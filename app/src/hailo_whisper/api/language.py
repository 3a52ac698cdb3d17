"""The fields `language` and `languages[]`: what is spoken in a recording."""

from ..speech.languages import CODES, LANGUAGES
from .errors import ApiError
from .form import Form


def language(form: Form, default: str | None) -> str | None:
    """The ISO 639-1 code of the language that is spoken; None: it is to be detected. Raises ApiError for what is no language.

    One of several `languages[]` cannot be told beforehand, so it is detected. `default` holds when the request says nothing.
    """
    possible = [code(value, "languages[]") for value in form.many("languages")]
    given = form.one("language")
    if given:
        return code(given, "language")
    if possible:
        return possible[0] if len({*possible}) == 1 else None
    return default


def code(given: str, param: str) -> str:
    """The code of a language that is given by its code or its English name, in any case."""
    name = given.lower()
    found = name if name in LANGUAGES else CODES.get(name)
    if found is None:
        raise ApiError(
            400,
            f"Invalid language '{given[:100]}'. Language parameter must be specified in ISO-639-1 format, such as `en`, "
            "or as an English name, such as `english`.",
            param=param,
            code="invalid_language_format",
        )
    return found

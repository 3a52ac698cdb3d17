"""The fields of a request for a transcription: what they may be, and what they mean."""

import json
from dataclasses import dataclass
from typing import Any

from ..engines.engine import Capabilities, Options
from ..formats import FORMATS
from ..scheduling import cutting
from ..settings import Settings
from ..speech.detection import Detection
from ..speech.languages import LANGUAGES
from . import models
from .errors import ApiError

# Fields of the contract that ask for something this server does not do yet, and the values of them that ask for nothing.
# They are refused, because a client that asked for a stream or for words and silently gets neither is misled.
UNSUPPORTED = {
    "stream": ("", "false"),
    "include[]": (),
    "timestamp_granularities[]": ("segment",),
    "known_speaker_names[]": (),
    "known_speaker_references[]": (),
}
SCHEMA = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "model"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "model": {"type": "string"},
                        "language": {"type": "string", "description": "ISO 639-1 code"},
                        "prompt": {"type": "string"},
                        "response_format": {"type": "string", "enum": list(FORMATS), "default": "json"},
                        "temperature": {"type": "number", "minimum": 0, "maximum": 1, "default": 0},
                        "chunking_strategy": {"type": "string", "description": "`auto`, or JSON with the type `server_vad`"},
                    },
                }
            }
        },
    }
}


# What `chunking_strategy` of the type server_vad takes: the least and the most of each.
SERVER_VAD = {"threshold": (0, 1), "prefix_padding_ms": (0, 5000), "silence_duration_ms": (0, 10000)}


@dataclass(frozen=True)
class Fields:
    """A request's fields, checked."""

    response_format: str
    options: Options
    detection: Detection | None
    """None: all of the recording counts as speech."""
    pad: float
    """Sound that is kept before and after speech, in seconds."""


def parse(fields: dict[str, list[str]], settings: Settings, capabilities: Capabilities | None) -> Fields:
    """Check every field. Raises ApiError that names the field and says what it takes."""
    if not _one(fields, "model"):
        raise ApiError(400, "The field `model` is missing. GET /v1/models lists what it takes.", param="model")
    models.check(_one(fields, "model"), settings.model.name)
    for name, harmless in UNSUPPORTED.items():
        for value in fields.get(name, []):
            if value.lower() not in harmless:
                raise ApiError(
                    400,
                    f"`{name}` = {value!r} is not supported by this server. Leave it out.",
                    param=name,
                    code="unsupported_value",
                )
    response_format = _one(fields, "response_format") or "json"
    if response_format not in FORMATS:
        raise ApiError(
            400,
            f"response_format {response_format!r} is not supported. Use one of {', '.join(FORMATS)}.",
            param="response_format",
            code="unsupported_value",
        )
    if "timestamp_granularities[]" in fields and response_format != "verbose_json":
        raise ApiError(
            400,
            "response_format must be verbose_json if timestamp_granularities[] is provided",
            param="timestamp_granularities[]",
        )
    detection, pad = _chunking(fields, settings)
    return Fields(
        response_format,
        Options(
            language=_language(_one(fields, "language"), settings, capabilities),
            beam=settings.transcription.beam,
            prompt=_one(fields, "prompt") or None,
            temperature=_temperature(_one(fields, "temperature")),
        ),
        detection,
        pad,
    )


def _one(fields: dict[str, list[str]], name: str) -> str:
    return fields.get(name, [""])[-1].strip()


def _language(given: str, settings: Settings, capabilities: Capabilities | None) -> str | None:
    language = given.lower() or settings.transcription.language
    if language is None:
        return None
    if language not in LANGUAGES:
        raise ApiError(
            400,
            f"Invalid language '{given}'. Language parameter must be specified in ISO-639-1 format, such as `en`.",
            param="language",
            code="invalid_language_format",
        )
    if capabilities:
        check_language(language, settings, capabilities)
    return language


def check_language(language: str | None, settings: Settings, capabilities: Capabilities) -> None:
    """Raise ApiError when the model does not know the language; None is one to be detected."""
    if language is not None and language not in capabilities.languages:
        raise ApiError(
            400,
            f"The model {settings.model.name} does not know the language '{language}'. It knows: {', '.join(capabilities.languages)}.",
            param="language",
            code="unsupported_language",
        )


def _temperature(given: str) -> float:
    try:
        temperature = float(given or 0)
    except ValueError:
        temperature = -1.0
    if not 0 <= temperature <= 1:
        raise ApiError(400, f"temperature must be a number from 0 to 1, and is {given!r}.", param="temperature")
    return temperature


def _chunking(fields: dict[str, list[str]], settings: Settings) -> tuple[Detection | None, float]:
    """How speech is found: by the settings, or as the request wants it. The SDKs send nested objects as `name[key]`."""
    vad = settings.vad
    given = _one(fields, "chunking_strategy")
    wanted: Any = {
        name.removeprefix("chunking_strategy[").removesuffix("]"): _number(values[-1])
        for name, values in fields.items()
        if name.startswith("chunking_strategy[") and name.endswith("]")
    }
    if not wanted and given not in ("", "auto", "null"):
        try:
            wanted = json.loads(given)
        except ValueError:
            wanted = None
        if not isinstance(wanted, dict):
            raise _no_strategy(f"{given!r} is neither `auto` nor an object of JSON")
    if not wanted:
        return cutting.detection(vad), cutting.padding(vad)
    if wanted.pop("type", None) != "server_vad":
        raise _no_strategy("an object of it needs the type `server_vad`")
    for name, value in wanted.items():
        if name not in SERVER_VAD:
            raise _no_strategy(f"it has no {name!r}; it takes {', '.join(SERVER_VAD)}")
        least, most = SERVER_VAD[name]
        if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
            raise _no_strategy(f"{name} must be a number from {least} to {most}, and is {value!r}")
    silence = wanted.get("silence_duration_ms", vad.min_silence_ms) / 1000
    detection = Detection(float(wanted.get("threshold", vad.threshold)), vad.min_speech_ms / 1000, silence)
    return detection, wanted.get("prefix_padding_ms", vad.speech_pad_ms) / 1000


def _no_strategy(what: str) -> ApiError:
    return ApiError(
        400,
        f"chunking_strategy cannot be used: {what}. Leave it out, or send `auto`.",
        param="chunking_strategy",
        code="unsupported_value",
    )


def _number(text: str) -> object:
    try:
        return float(text)
    except ValueError:
        return text

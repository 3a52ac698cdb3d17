"""`POST /v1/audio/transcriptions`: the fields of a request, and the way of its data from station to station."""

import os
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from ..engines.engine import Capabilities, Options
from ..formats import FORMATS
from ..service import log
from ..settings import Settings
from ..speech import transcript
from ..speech.detection import Detection
from ..speech.languages import LANGUAGES
from ..speech.waveform import memory
from ..speech.windows import Rules, cut
from . import models
from .errors import ApiError
from .upload import MIB, receive

router = APIRouter(prefix="/v1/audio", tags=["audio"])

# Fields of the contract that ask for something this server does not do yet, and the values of them that ask for nothing.
# They are refused, because a client that asked for a stream or for words and silently gets neither is misled.
UNSUPPORTED = {
    "stream": ("", "false"),
    "include[]": (),
    "timestamp_granularities[]": ("segment",),
    "chunking_strategy": ("", "auto"),
    "chunking_strategy[type]": (),
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
                    },
                }
            }
        },
    }
}


@dataclass(frozen=True)
class Fields:
    """A request's fields, checked."""

    response_format: str
    options: Options


@router.post("/transcriptions", openapi_extra=SCHEMA)
async def transcriptions(request: Request) -> Response:
    """Transcribe a recording."""
    state = request.app.state
    settings: Settings = state.settings
    upload = await receive(request, settings.limits.upload_mib * MIB)
    fields = parse(upload.fields, settings, state.supervisor.capabilities)
    capabilities: Capabilities | None = state.supervisor.capabilities
    detection, rules = _ways(settings, capabilities)
    media = memory("media", upload.file)
    try:
        recording = await state.decoder.decode(media, detection, rules.longest - 2 * rules.pad)
    finally:
        os.close(media)
    with recording, recording.waveform as waveform:
        windows = cut(recording.speech, waveform.length, rules)
        results = await state.supervisor.transcribe(waveform, windows, fields.options) if windows else []
        joined = transcript.join(windows, results, waveform.duration, fields.options.language)
    log.note(audio_seconds=joined.duration)
    log.note_transcript(joined.text)
    render, content_type = FORMATS[fields.response_format]
    return Response(render(joined), headers={"content-type": content_type})


def _ways(settings: Settings, capabilities: Capabilities | None) -> tuple[Detection | None, Rules]:
    """How speech is found, and how it is cut into windows."""
    vad = settings.vad
    detection = Detection(vad.threshold, vad.min_speech_ms / 1000, vad.min_silence_ms / 1000) if vad.enabled else None
    longest = min(settings.windows.longest_seconds, capabilities.window_seconds if capabilities else 30.0)
    # Where all counts as speech there is no silence to keep around it.
    pad = min(vad.speech_pad_ms / 1000, longest / 4) if vad.enabled else 0.0
    return detection, Rules(longest, settings.windows.longest_pause_seconds, pad)


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
    return Fields(
        response_format,
        Options(
            language=_language(_one(fields, "language"), settings, capabilities),
            beam=settings.transcription.beam,
            prompt=_one(fields, "prompt") or None,
            temperature=_temperature(_one(fields, "temperature")),
        ),
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
    if capabilities and language not in capabilities.languages:
        raise ApiError(
            400,
            f"The model {settings.model.name} does not know the language '{language}'. It knows: {', '.join(capabilities.languages)}.",
            param="language",
            code="unsupported_language",
        )
    return language


def _temperature(given: str) -> float:
    try:
        temperature = float(given or 0)
    except ValueError:
        temperature = -1.0
    if not 0 <= temperature <= 1:
        raise ApiError(400, f"temperature must be a number from 0 to 1, and is {given!r}.", param="temperature")
    return temperature

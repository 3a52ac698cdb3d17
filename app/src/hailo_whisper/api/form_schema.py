"""What may be sent, for the document that describes the API: the fields of the forms."""

from typing import Any

from ..formats import FORMATS
from .chunking import SERVER_VAD
from .fields import GRANULARITIES, MOST_KEYWORDS, MOST_PROMPT

Field = dict[str, Any]


def _list(about: str, **items: Any) -> Field:
    return {"type": "array", "items": {"type": "string"} | items, "description": about}


_COMMON: dict[str, Field] = {
    "file": {
        "type": "string",
        "format": "binary",
        "description": "The recording: flac, mp3, mp4, mpeg, mpga, m4a, oga, ogg, wav or webm.",
    },
    "model": {
        "type": "string",
        "description": "The name that `/v1/models` lists, or one of OpenAI's.",
        "examples": ["whisper-1"],
    },
    "prompt": {"type": "string", "maxLength": MOST_PROMPT, "description": "Text that sets the style, or names that will come."},
    "response_format": {"type": "string", "enum": [*FORMATS], "default": "json"},
    "temperature": {"type": "number", "minimum": 0, "maximum": 1, "default": 0},
    "language": {
        "type": "string",
        "description": "What is spoken: an ISO 639-1 code, or an English name.",
        "examples": ["en", "german"],
    },
}
_MORE: dict[str, Field] = {
    "languages[]": _list("What may be spoken; one is as `language`, among several it is detected."),
    "keywords[]": _list("Words to expect.", minLength=1) | {"maxItems": MOST_KEYWORDS},
    "timestamp_granularities[]": _list("Needs verbose_json. Default: segment.", enum=[*GRANULARITIES]),
    "include[]": _list("Needs json.", enum=["logprobs"]),
    "stream": {"type": "boolean", "default": False, "description": "Answer with events, in json or text."},
    "chunking_strategy": {
        "description": "How speech is found: `auto`, or server_vad with numbers, as JSON or as `chunking_strategy[type]` and so on.",
        "anyOf": [
            {"type": "string", "enum": ["auto"]},
            {
                "type": "object",
                "required": ["type"],
                "additionalProperties": False,
                "properties": {"type": {"type": "string", "enum": ["server_vad"]}}
                | {name: {"type": "number", "minimum": least, "maximum": most} for name, (least, most) in SERVER_VAD.items()},
            },
        ],
    },
}


def _form(fields: dict[str, Field]) -> dict[str, Any]:
    body = {"type": "object", "required": ["file", "model"], "properties": fields}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": body}}}}


TRANSLATION = _form(_COMMON)
TRANSCRIPTION = _form(_COMMON | _MORE)

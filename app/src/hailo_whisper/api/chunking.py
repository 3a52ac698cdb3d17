"""The field `chunking_strategy`: how speech is found in a recording."""

import json
from typing import Any

from ..scheduling import cutting
from ..settings import Vad
from ..speech.detection import Detection
from .errors import ApiError
from .form import Form

NAME = "chunking_strategy"
# What the type server_vad takes: the least and the most of each.
SERVER_VAD = {"threshold": (0, 1), "prefix_padding_ms": (0, 5000), "silence_duration_ms": (0, 10000)}


def chunking(form: Form, vad: Vad) -> tuple[Detection | None, float]:
    """What counts as speech (None: everything) and the seconds that are kept around it. What is left out comes from the settings."""
    given = form.one(NAME)
    wanted: Any = {key: _number(value) for key, value in form.nested(NAME).items()}
    if not wanted and given not in ("", "auto", "null"):
        try:
            wanted = json.loads(given)
        # One that is nested too deeply is no ValueError.
        except (ValueError, RecursionError):
            wanted = None
        if not isinstance(wanted, dict):
            raise _no_strategy(f"{given[:100]!r} is neither `auto` nor an object of JSON")
    if not wanted:
        return cutting.detection(vad), cutting.padding(vad)
    if wanted.pop("type", None) != "server_vad":
        raise _no_strategy("an object of it needs the type `server_vad`")
    for name, value in wanted.items():
        if name not in SERVER_VAD:
            raise _no_strategy(f"it has no {name[:100]!r}; it takes {', '.join(SERVER_VAD)}")
        least, most = SERVER_VAD[name]
        if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
            raise _no_strategy(f"{name} must be a number from {least} to {most}, and is {repr(value)[:100]}")
    silence = wanted.get("silence_duration_ms", vad.min_silence_ms) / 1000
    detection = Detection(float(wanted.get("threshold", vad.threshold)), vad.min_speech_ms / 1000, silence)
    return detection, wanted.get("prefix_padding_ms", vad.speech_pad_ms) / 1000


def _no_strategy(what: str) -> ApiError:
    message = f"{NAME} cannot be used: {what}. Leave it out, or send `auto`."
    return ApiError(400, message, param=NAME, code="unsupported_value")


def _number(text: str) -> object:
    try:
        return float(text)
    except ValueError:
        return text

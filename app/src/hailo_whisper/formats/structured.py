"""The transcript as the two JSON shapes of the OpenAI contract."""

import json
import math
from collections.abc import Sequence
from typing import Any

from ..speech import languages
from ..speech.transcript import Segment, Token, Transcript
from .details import DEFAULT, Details


def json_text(transcript: Transcript, details: Details = DEFAULT) -> str:
    """`{text, logprobs?, usage}`."""
    body: dict[str, Any] = {"text": transcript.text}
    if details.logprobs:
        body["logprobs"] = logprobs(transcript.logprobs)
    return json.dumps(body | {"usage": usage(transcript)}, ensure_ascii=False)


def verbose_json_text(transcript: Transcript, details: Details = DEFAULT) -> str:
    """`{task, language, duration, text, words?, segments?, usage}`; what the engine cannot tell is null."""
    body: dict[str, Any] = {
        "task": details.task,
        "language": _language(transcript, details),
        "duration": transcript.duration,
        "text": transcript.text,
    }
    if details.words:
        body["words"] = [{"word": word.text, "start": word.start, "end": word.end} for word in transcript.words]
    if details.segments:
        body["segments"] = [_segment(number, segment) for number, segment in enumerate(transcript.segments)]
    return json.dumps(body | {"usage": usage(transcript)}, ensure_ascii=False)


def _language(transcript: Transcript, details: Details) -> str | None:
    if details.task == "translate":
        return "english"
    return None if transcript.language is None else languages.name(transcript.language)


def _segment(number: int, segment: Segment) -> dict[str, Any]:
    return {
        "id": number,
        "seek": segment.seek,
        "start": segment.start,
        "end": segment.end,
        "text": segment.text,
        "tokens": segment.tokens,
        "temperature": segment.temperature,
        "avg_logprob": segment.avg_logprob,
        "compression_ratio": segment.compression_ratio,
        "no_speech_prob": segment.no_speech_prob,
    }


def logprobs(tokens: Sequence[Token]) -> list[dict[str, Any]]:
    """`[{token, logprob, bytes}]`."""
    return [{"token": token.text, "logprob": token.logprob, "bytes": token.bytes} for token in tokens]


def usage(transcript: Transcript) -> dict[str, Any]:
    """What the request used: seconds of sound, rounded up."""
    return {"type": "duration", "seconds": math.ceil(transcript.duration)}

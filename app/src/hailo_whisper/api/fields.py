"""The fields of a request: what they may be, and what they mean."""

import logging
from dataclasses import dataclass
from typing import Literal

from ..engines.engine import Options
from ..formats import FORMATS, Details
from ..settings import Settings
from ..speech.detection import Detection
from .chunking import chunking
from .errors import ApiError
from .form import Form, bare
from .language import language

log = logging.getLogger(__name__)

Task = Literal["transcribe", "translate"]

# Of a translation; what else is sent with one is ignored, as every field is that the contract does not know.
TRANSLATION = ("file", "model", "prompt", "response_format", "temperature", "language")
TRANSCRIPTION = (*TRANSLATION, "languages", "keywords", "timestamp_granularities", "include", "stream", "chunking_strategy")
# Of the contract too, but this server does not tell speakers apart; whoever asks for it and silently gets one voice is misled.
SPEAKERS = ("known_speaker_names", "known_speaker_references")
GRANULARITIES = ("word", "segment")
STREAMED = ("json", "text")

MOST_PROMPT = 65_536
"""Characters. The engine takes the last few hundred words of a prompt; so many more are a mistake."""
MOST_KEYWORDS = 100
LEAST_TEMPERATURE = 0.001


@dataclass(frozen=True)
class Fields:
    """A request's fields, checked."""

    response_format: str
    stream: bool
    options: Options
    detect: bool
    """Whether the request itself wants the language to be detected."""
    details: Details
    detection: Detection | None
    """None: all of the recording counts as speech."""
    pad: float
    """Sound that is kept before and after speech, in seconds."""


def parse(sent: Form, settings: Settings, task: Task) -> Fields:
    """Check every field. Raises ApiError that names the field and says what it takes.

    The model is the business of api.models; what depends on the engine is checked by api.demands, as soon as there is one.
    """
    known = TRANSCRIPTION if task == "transcribe" else TRANSLATION
    form = sent.only(known)
    if task == "transcribe":
        _no_speakers(sent)
    _tell_of_unknown(sent, known)
    response_format = _format(form)
    granularities = _granularities(form, response_format)
    logprobs = _logprobs(form, response_format)
    stream = _stream(form, response_format)
    detection, pad = chunking(form, settings.vad)
    # What is to be translated is in another language than most of what this machine hears, so the setting says nothing of it.
    spoken = language(form, settings.transcription.language if task == "transcribe" else None)
    return Fields(
        response_format=response_format,
        stream=stream,
        options=Options(
            language=spoken,
            beam=settings.transcription.beam,
            prompt=_text(form.one("prompt"), "prompt"),
            temperature=_temperature(form.one("temperature")),
            task=task,
            hotwords=_keywords(form),
            words="word" in granularities,
            logprobs=logprobs,
        ),
        detect=spoken is None and bool(form.many("languages")),
        details=Details(task, segments="segment" in granularities, words="word" in granularities, logprobs=logprobs),
        detection=detection,
        pad=pad,
    )


def _no_speakers(sent: Form) -> None:
    for name in SPEAKERS:
        if sent.many(name):
            raise _unsupported(
                f"`{name}[]` is not supported: this server does not tell speakers apart. Leave it out.", f"{name}[]"
            )


def _tell_of_unknown(sent: Form, known: tuple[str, ...]) -> None:
    unknown = [name[:100] for name in sent.names if bare(name) not in known]
    if unknown:
        log.debug("fields that are not known are ignored: %s", unknown)


def _format(form: Form) -> str:
    given = form.one("response_format") or "json"
    if given not in FORMATS:
        why = ": this server does not tell speakers apart" if given == "diarized_json" else ""
        formats = ", ".join(FORMATS)
        raise _unsupported(f"response_format {given[:100]!r} is not supported{why}. Use one of {formats}.", "response_format")
    return given


def _granularities(form: Form, response_format: str) -> set[str]:
    param = "timestamp_granularities[]"
    given = form.many("timestamp_granularities")
    for value in given:
        if value not in GRANULARITIES:
            raise _unsupported(f"{param} takes `word` and `segment`, each in a field of its own, and is {value[:100]!r}.", param)
    if given and response_format != "verbose_json":
        raise ApiError(400, f"response_format must be verbose_json if {param} is provided", param=param)
    return {*given} or {"segment"}


def _logprobs(form: Form, response_format: str) -> bool:
    given = form.many("include")
    for value in given:
        if value != "logprobs":
            raise _unsupported(f"include[] takes `logprobs`, and is {value[:100]!r}.", "include[]")
    if given and response_format != "json":
        raise _unsupported("include[] needs the response_format json. Use that, or leave include[] out.", "include[]")
    return bool(given)


def _stream(form: Form, response_format: str) -> bool:
    given = form.one("stream").lower()
    if given in ("", "false", "0", "null"):
        return False
    if given not in ("true", "1"):
        raise _unsupported(f"stream must be `true` or `false`, and is {given[:100]!r}.", "stream")
    if response_format not in STREAMED:
        raise _unsupported(f"{response_format} cannot be streamed. Use the response_format json, or leave stream out.", "stream")
    return True


def _keywords(form: Form) -> str | None:
    given = form.many("keywords")
    if len(given) > MOST_KEYWORDS:
        raise ApiError(
            400,
            f"keywords[] is there {len(given)} times, and may be {MOST_KEYWORDS} times.",
            param="keywords[]",
            code="array_above_max_length",
        )
    return _text(", ".join(given), "keywords[]")


def _text(given: str, param: str) -> str | None:
    if len(given) > MOST_PROMPT:
        raise ApiError(
            400,
            f"{param} has {len(given)} characters, and may have {MOST_PROMPT}. Send what matters most.",
            param=param,
            code="string_above_max_length",
        )
    return given or None


def _temperature(given: str) -> float:
    try:
        temperature = float(given or 0)
    except ValueError:
        temperature = -1.0
    if not 0 <= temperature <= 1:
        raise ApiError(400, f"temperature must be a number from 0 to 1, and is {given[:100]!r}.", param="temperature")
    # So near to 0 the decoder divides by next to nothing, and what it says is no language.
    return temperature if temperature >= LEAST_TEMPERATURE else 0.0


def _unsupported(message: str, param: str) -> ApiError:
    return ApiError(400, message, param=param, code="unsupported_value")

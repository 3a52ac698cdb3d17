"""What the replies look like, for the document that describes the API. They document only: no reply is checked against them."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from ..formats import JSON


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ErrorDetail(_Reply):
    """What went wrong, and what to do."""

    message: str
    type: str = Field(examples=["invalid_request_error", "requests", "server_error"])
    param: str | None = Field(description="The field of the request that is to blame.")
    code: str | None


class Error(_Reply):
    """Every error, whatever its status."""

    error: ErrorDetail


class Usage(_Reply):
    """What the request used: seconds of sound, rounded up."""

    type: Literal["duration"]
    seconds: int


class Logprob(_Reply):
    """What the decoder wrote at a time: a word, a part of one, or a part of a character."""

    token: str
    logprob: float = Field(description="Natural logarithm of its probability.")
    bytes: list[int] = Field(description="Its UTF-8.")


class Transcription(_Reply):
    """`response_format` json."""

    text: str
    logprobs: list[Logprob] = Field(default_factory=list, description="With `include[]` = `logprobs` only.")
    usage: Usage


class Word(_Reply):
    """A word, without spaces around it; times are in seconds."""

    word: str
    start: float
    end: float


class Segment(_Reply):
    """A stretch of speech. Times are in seconds; what the engine cannot tell is null, and `/v1/models` says what that is."""

    id: int
    seek: int
    start: float
    end: float
    text: str
    tokens: list[int]
    temperature: float
    avg_logprob: float | None
    compression_ratio: float
    no_speech_prob: float | None


class VerboseTranscription(_Reply):
    """`response_format` verbose_json."""

    task: Literal["transcribe", "translate"]
    language: str | None = Field(
        description="English name of the language, in lower case; of a translation `english`. null where the engine detected it and cannot "
        "say which it is."
    )
    duration: float = Field(description="Of the recording, in seconds.")
    text: str
    words: list[Word] = Field(default_factory=list, description="With the granularity `word` only.")
    segments: list[Segment] = Field(default_factory=list, description="Not with the granularity `word` alone.")
    usage: Usage


class TextDelta(_Reply):
    """An event of a stream: what was heard next."""

    type: Literal["transcript.text.delta"]
    delta: str
    logprobs: list[Logprob] = Field(default_factory=list)


class TextDone(_Reply):
    """The last event of a stream that went well: the whole text."""

    type: Literal["transcript.text.done"]
    text: str
    logprobs: list[Logprob] = Field(default_factory=list)
    usage: Usage


class Capabilities(_Reply):
    """What the engine can do with its model. What it cannot is refused."""

    languages: list[str] = Field(description="ISO 639-1 codes.")
    detects_language: bool
    translates: bool = Field(description="Whether `/v1/audio/translations` works.")
    prompts: bool
    keywords: bool
    temperature: bool
    words: bool = Field(description="The granularity `word`.")
    logprobs: bool
    window_seconds: float = Field(description="The longest stretch of sound that it hears at once.")
    unavailable: list[str] = Field(description="Fields of a segment that are always null.")


class Model(_Reply):
    """A model, or one of OpenAI's names for it."""

    id: str
    object: Literal["model"]
    created: int = Field(description="When its files were put in place, in seconds since 1970.")
    owned_by: str
    state: str = Field(description="As of readiness: ready, unloaded (loaded on request), loading, failed or closed.")
    reason: str | None = Field(description="Why it cannot be used, or why another stands in.")
    engine: str = Field(description="The one that answers, as `engine.kind` has it.")
    capabilities: Capabilities | None = Field(description="null until the model was loaded for the first time.")
    alias_of: str = Field(
        "", description="The model itself, where `id` is one of OpenAI's names, or the one that it stands in for."
    )
    fallback_for: str = Field("", description="The configured model, where this one stands in for it because it cannot be used.")
    engine_fallback_for: str = Field("", description="The engine in whose place another answers (`engine.fallback`).")


class ModelList(_Reply):
    """The models that answer, the configured one first."""

    object: Literal["list"]
    data: list[Model]


class Health(_Reply):
    """The process is alive."""

    status: Literal["ok"]
    version: str


class Offered(_Reply):
    """A model beside the configured one."""

    model: str
    status: str
    reason: str | None


class Readiness(_Reply):
    """Whether requests are served, and why not."""

    status: str = Field(examples=["ready", "unloaded", "loading", "failed", "draining", "keys_unavailable"])
    reason: str | None
    full: str | None = Field(description="Why a short recording would be refused now: there is no room for it.")
    model: str = Field(description="The one that answers.")
    fallback_for: str | None = Field(description="The configured one, where another answers in its place; `reason` says why.")
    engine: str = Field(description="The one that answers, as `engine.kind` has it.")
    engine_fallback_for: str | None = Field(
        description="The engine in whose place another answers (`engine.fallback`); `reason` says why."
    )
    degraded: bool = Field(description="Whether another model or another engine stands in for the configured one.")
    worker_restarts: int
    failed_starts: int
    next_start_seconds: int | None
    offered: list[Offered] = Field(description="The further models (`models.offered`), on which the status does not depend.")


ALL: tuple[type[BaseModel], ...] = (
    Error,
    Transcription,
    VerboseTranscription,
    TextDelta,
    TextDone,
    Model,
    ModelList,
    Health,
    Readiness,
)
REASONS = {
    400: "A field or the recording cannot be used.",
    401: "The API key is missing or wrong.",
    404: "There is no such model.",
    408: "The upload stood still.",
    413: "The recording is too large.",
    415: "The body is not multipart/form-data.",
    429: "Too much at a time; `Retry-After` says when to come back.",
    500: "The engine or the server failed.",
    503: "Not ready; `Retry-After` says when to come back.",
    504: "Not done by its deadline.",
}


def components() -> dict[str, Any]:
    """The schemas by their names."""
    _, schemas = models_json_schema([(model, "serialization") for model in ALL], ref_template="#/components/schemas/{model}")
    return dict(schemas["$defs"])


def ref(name: str) -> dict[str, str]:
    """What stands for a schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def replies(name: str, *statuses: int, about: str = "It went well.") -> dict[int | str, dict[str, Any]]:
    """The replies of an address that answers with JSON: what it says at 200, and the errors that it may have."""
    return {200: {"description": about, "content": {JSON: {"schema": ref(name)}}}} | errors(*statuses)


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Replies that are errors."""
    return {status: {"description": REASONS[status], "content": {JSON: {"schema": ref("Error")}}} for status in statuses}


# Each event, as tools before OpenAPI 3.2 read it.
_EVENT = {
    "type": "object",
    "description": "An event: TextDelta again and again, and at the end TextDone, or else Error.",
    "required": ["data"],
    "properties": {
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"anyOf": [ref("TextDelta"), ref("TextDone"), ref("Error")]},
        }
    },
}


def readiness() -> dict[int | str, dict[str, Any]]:
    """The replies of an address that says the same of a server that is ready and of one that is not."""
    content = {JSON: {"schema": ref("Readiness")}}
    said = {200: "Ready.", 404: "Full (`full=404`).", 429: "Full (`full=429`).", 503: "Not ready, or full (`full=503`)."}
    return {status: {"description": about, "content": content} for status, about in said.items()} | errors(400)


def metrics() -> dict[int | str, dict[str, Any]]:
    """The replies of an address for Prometheus."""
    content = {kind: {"schema": {"type": "string"}} for kind in ("text/plain", "application/openmetrics-text")}
    return {200: {"description": "What was counted.", "content": content}} | errors(401, 429, 503)


def transcript(*, stream: bool) -> dict[int | str, dict[str, Any]]:
    """The replies of an address that is sent a recording."""
    content: dict[str, Any] = {
        JSON: {"schema": {"anyOf": [ref("Transcription"), ref("VerboseTranscription")]}},
        "text/plain": {"schema": {"type": "string", "description": "text, srt or vtt"}},
    }
    if stream:
        content["text/event-stream"] = {"schema": _EVENT}
    return {200: {"description": "What was said, in the form that was asked for.", "content": content}} | errors(
        400, 401, 404, 408, 413, 415, 429, 500, 503, 504
    )

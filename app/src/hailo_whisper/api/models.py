"""`/v1/models`: the model that answers, and what it can do. OpenAI's own names are aliases of it, and so is its own while another stands in."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.datastructures import State

from ..engines.engine import Capabilities
from . import schema
from .errors import ApiError
from .form import Form

router = APIRouter(prefix="/v1", tags=["models"])

ALIASES = (
    "whisper-1",
    "gpt-4o-transcribe",
    "gpt-4o-mini-transcribe",
    "gpt-4o-mini-transcribe-2025-12-15",
    "gpt-4o-transcribe-diarize",
    "gpt-transcribe",
)


@router.get("/models", responses=schema.replies("ModelList", 401, 429, 500, 503))
async def models(request: Request) -> JSONResponse:
    """List the model; `created` is when its files were put in place, in seconds since 1970."""
    state = request.app.state
    return JSONResponse({"object": "list", "data": [_model(state, answering(state))]})


@router.get("/models/{model:path}", responses=schema.replies("Model", 401, 404, 429, 500, 503))
async def model(request: Request, model: str) -> JSONResponse:
    """Describe the model by its name or by one of OpenAI's names for it. A name may have slashes in it."""
    state = request.app.state
    _check(state, model)
    name = answering(state)
    alias = {} if model == name else {"id": model, "alias_of": name}
    return JSONResponse(_model(state, name) | alias)


def answering(state: State) -> str:
    """Name of the model that answers: the configured one, or the one that stands in for it."""
    found = state.supervisor.found
    name: str = found.name if found and found.fallback_for else state.settings.model.name
    return name


def check(state: State, form: Form) -> None:
    """Raise ApiError unless the form names a model that there is."""
    if not form.one("model"):
        raise ApiError(400, "The field `model` is missing. GET /v1/models lists what it takes.", param="model")
    _check(state, form.one("model"))


def _check(state: State, name: str) -> None:
    answers, configured = answering(state), state.settings.model.name
    if name not in (answers, configured, *ALIASES):
        raise ApiError(
            404,
            f"The model `{name[:100]}` does not exist here. Use `{answers}` (GET /v1/models lists it) or `whisper-1`.",
            param="model",
            code="model_not_found",
        )


def _model(state: State, name: str) -> dict[str, Any]:
    known: Capabilities | None = state.supervisor.capabilities
    found = state.supervisor.found
    about = {
        "id": name,
        "object": "model",
        "created": state.created(),
        "owned_by": "hailo-whisper",
        "capabilities": None if known is None else _capabilities(known),
    }
    return about | ({"fallback_for": found.fallback_for} if found and found.fallback_for else {})


def _capabilities(known: Capabilities) -> dict[str, Any]:
    """In the terms of the API; how many the engine takes at once is no business of a client's."""
    return {
        "languages": known.languages,
        "detects_language": known.detects_language,
        "translates": known.translates,
        "prompts": known.prompts,
        "keywords": known.hotwords,
        "temperature": known.temperature,
        "words": known.words,
        "logprobs": known.logprobs,
        "window_seconds": known.window_seconds,
        "unavailable": known.unavailable,
    }

"""`/v1/models`: the models that answer, and what they can do. OpenAI's own names are aliases of the configured one."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.datastructures import State

from ..engines.engine import Capabilities
from ..scheduling.lineup import Hosted, Lineup
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
    """List the models, the configured one first; `created` is when a model's files were put in place, in seconds since 1970."""
    state = request.app.state
    return JSONResponse({"object": "list", "data": [_model(state, hosted) for hosted in state.lineup.listed]})


@router.get("/models/{model:path}", responses=schema.replies("Model", 401, 404, 429, 500, 503))
async def model(request: Request, model: str) -> JSONResponse:
    """Describe a model by its name, or the configured one by one of OpenAI's names for it. A name may have slashes in it."""
    state = request.app.state
    hosted = _named(state.lineup, model)
    alias = {} if model == hosted.answers else {"id": model, "alias_of": hosted.answers}
    return JSONResponse(_model(state, hosted) | alias)


def chosen(lineup: Lineup, form: Form) -> Hosted:
    """The model that a form names. Raises ApiError when it names none, or one that there is not."""
    if not form.one("model"):
        raise ApiError(400, "The field `model` is missing. GET /v1/models lists what it takes.", param="model")
    return _named(lineup, form.one("model"))


def _named(lineup: Lineup, name: str) -> Hosted:
    hosted = lineup.get(name) or (lineup.default if name in ALIASES else None)
    if hosted is None:
        names = ", ".join(f"`{each.answers}`" for each in lineup.listed)
        raise ApiError(
            404,
            f"The model `{name[:100]}` does not exist here. Use {names} (GET /v1/models lists {'it' if len(lineup.listed) == 1 else 'them'}) "
            "or `whisper-1`.",
            param="model",
            code="model_not_found",
        )
    return hosted


def _model(state: State, hosted: Hosted) -> dict[str, Any]:
    supervisor = hosted.supervisor
    known, found = supervisor.promised, supervisor.found
    about = {
        "id": hosted.answers,
        "object": "model",
        "created": state.created(found) if found else 0,
        "owned_by": "hailo-whisper",
        "state": supervisor.state,
        "reason": supervisor.reason,
        "engine": supervisor.engine,
        "capabilities": None if known is None else _capabilities(known),
    }
    replaced = {"fallback_for": found and found.fallback_for, "engine_fallback_for": supervisor.engine_fallback_for}
    return about | {name: value for name, value in replaced.items() if value}


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

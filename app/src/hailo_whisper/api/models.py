"""`/v1/models`: the model that answers, and what it can do. OpenAI's own names are aliases of it."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from ..engines.engine import Capabilities
from . import schema
from .errors import ApiError

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
    return JSONResponse({"object": "list", "data": [_model(request, request.app.state.settings.model.name)]})


@router.get("/models/{model:path}", responses=schema.replies("Model", 401, 404, 429, 500, 503))
async def model(request: Request, model: str) -> JSONResponse:
    """Describe the model by its name or by one of OpenAI's names for it. A name may have slashes in it."""
    configured = request.app.state.settings.model.name
    check(model, configured)
    alias = {} if model == configured else {"alias_of": configured}
    return JSONResponse(_model(request, model) | alias)


def _model(request: Request, name: str) -> dict[str, Any]:
    state = request.app.state
    known: Capabilities | None = state.supervisor.capabilities
    capabilities = None if known is None else _capabilities(known)
    return {"id": name, "object": "model", "created": state.created(), "owned_by": "hailo-whisper", "capabilities": capabilities}


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


def check(name: str, configured: str) -> None:
    """Raise a 404 unless the name is the configured model's or one of OpenAI's."""
    if name not in (configured, *ALIASES):
        raise ApiError(
            404,
            f"The model `{name[:100]}` does not exist here. Use `{configured}` (GET /v1/models lists it) or `whisper-1`.",
            param="model",
            code="model_not_found",
        )

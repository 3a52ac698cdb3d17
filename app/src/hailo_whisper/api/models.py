"""`/v1/models`: the model that answers. OpenAI's own names are aliases of it."""

from fastapi import APIRouter, Request

from .errors import ApiError

router = APIRouter(prefix="/v1", tags=["models"])

ALIASES = ("whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "gpt-4o-transcribe-diarize", "gpt-transcribe")


@router.get("/models")
async def models(request: Request) -> dict[str, object]:
    """List the model; `created` is when its files were put in place, in seconds since 1970."""
    state = request.app.state
    data = {"id": state.settings.model.name, "object": "model", "created": state.created(), "owned_by": "hailo-whisper"}
    return {"object": "list", "data": [data]}


def check(name: str, configured: str) -> None:
    """Raise a 404 unless the name is the configured model's or one of OpenAI's."""
    if name not in (configured, *ALIASES):
        raise ApiError(
            404,
            f"The model `{name}` does not exist here. Use `{configured}` (GET /v1/models lists it) or `whisper-1`.",
            param="model",
            code="model_not_found",
        )

"""`POST /v1/audio/translations`: sound of any language in, English words out."""

from fastapi import APIRouter, Request, Response

from . import audio, form_schema, schema

router = APIRouter(prefix="/v1/audio", tags=["audio"])


@router.post(
    "/translations", response_class=Response, openapi_extra=form_schema.TRANSLATION, responses=schema.transcript(stream=False)
)
async def translations(request: Request) -> Response:
    """Translate a recording into English. It needs a multilingual model."""
    return await audio.answer(request, "translate")

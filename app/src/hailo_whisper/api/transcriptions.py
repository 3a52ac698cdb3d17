"""`POST /v1/audio/transcriptions`: sound in, words out."""

from fastapi import APIRouter, Request, Response

from . import audio, form_schema, schema

router = APIRouter(prefix="/v1/audio", tags=["audio"])


@router.post(
    "/transcriptions", response_class=Response, openapi_extra=form_schema.TRANSCRIPTION, responses=schema.transcript(stream=True)
)
async def transcriptions(request: Request) -> Response:
    """Transcribe a recording: what was said, in the language in which it was said."""
    return await audio.answer(request, "transcribe")

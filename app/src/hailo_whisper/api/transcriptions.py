"""`POST /v1/audio/transcriptions`: the way of a request's data from station to station."""

import contextlib

from fastapi import APIRouter, Request, Response

from ..formats import FORMATS
from ..scheduling import cutting
from ..scheduling.admission import Overloaded
from ..scheduling.scheduler import Scheduler
from ..service import log
from ..settings import Settings
from ..speech import transcript
from ..speech.decoder import Decoder
from ..speech.windows import cut
from .client import drain, while_connected
from .fields import SCHEMA, Fields, check_language, parse
from .upload import MIB, Upload, receive

router = APIRouter(prefix="/v1/audio", tags=["audio"])


@router.post("/transcriptions", openapi_extra=SCHEMA)
async def transcriptions(request: Request) -> Response:
    """Transcribe a recording."""
    state = request.app.state
    # Those of the moment: a reload changes them for the requests to come.
    settings: Settings = state.settings
    scheduler: Scheduler = state.scheduler
    with contextlib.ExitStack() as stack:
        try:
            # Before the body is read, so that a crowd does not fill the memory.
            stack.enter_context(scheduler.place())
        except Overloaded:
            await drain(request)
            raise
        upload = stack.enter_context(await receive(request, settings.limits.upload_mib * MIB, settings.limits.stall_seconds))
        fields = parse(upload.fields, settings, state.supervisor.capabilities)
        return await while_connected(request, _transcribe(upload, fields, settings, state.decoder, scheduler))


async def _transcribe(upload: Upload, fields: Fields, settings: Settings, decoder: Decoder, scheduler: Scheduler) -> Response:
    capabilities = await scheduler.capabilities()
    # Known only now when the model was being loaded.
    check_language(fields.options.language, settings, capabilities)
    rules = cutting.rules(settings.windows, capabilities.window_seconds, fields.pad)
    recording = await decoder.decode(upload.file, fields.detection, cutting.longest_span(rules))
    # Nobody needs it any more, and a transcription may take long.
    upload.close()
    with recording, recording.waveform as waveform:
        windows = cut(recording.speech, waveform.length, rules)
        # Where nobody speaks there is nothing to transcribe, and an engine would invent something.
        results = await scheduler.transcribe(waveform, windows, fields.options) if windows else []
        joined = transcript.join(windows, results, waveform.duration, fields.options.language)
    log.note(audio_seconds=joined.duration)
    log.note_transcript(joined.text)
    render, content_type = FORMATS[fields.response_format]
    return Response(render(joined), headers={"content-type": content_type})

"""The way of a recording from station to station, from the upload to the reply: that of transcriptions and translations."""

import contextlib

from fastapi import Request, Response

from ..formats import FORMATS
from ..scheduling import cutting
from ..scheduling.admission import Overloaded
from ..scheduling.lineup import Hosted, Lineup
from ..scheduling.tickets import Heard
from ..service import log
from ..settings import Settings
from ..speech import transcript
from ..speech.decoder import Decoder
from ..speech.transcript import Transcript
from ..speech.windows import cut
from . import demands, models
from .client import drain, while_connected
from .fields import Fields, Task, parse
from .form import Form
from .stream import Stream
from .upload import MIB, Upload, receive


async def answer(request: Request, task: Task) -> Response:
    """Do what a request asks for. What it holds is given back when its reply, or the stream of it, has come to an end."""
    state = request.app.state
    # Those of the moment: a reload changes them for the requests to come.
    settings: Settings = state.settings
    lineup: Lineup = state.lineup
    async with contextlib.AsyncExitStack() as stack:
        try:
            # Before the body is read, so that a crowd does not fill the memory.
            stack.enter_context(lineup.place())
        except Overloaded:
            await drain(request)
            raise
        upload = stack.enter_context(await receive(request, settings.limits.upload_mib * MIB, settings.limits.stall_seconds))
        form = Form(upload.fields)
        hosted = models.chosen(lineup, form)
        fields = parse(form, settings, task)
        stack.enter_context(lineup.use(hosted))
        log.note(model=hosted.answers)

        async def hear(heard: Heard | None = None) -> Transcript:
            return await _hear(upload, fields, settings, state.decoder, hosted, heard=heard)

        if fields.stream:
            stream = await stack.enter_async_context(Stream(hear, fields.details))
            await while_connected(request, stream.begin())
            return stream.response(stack.pop_all())
        heard = await while_connected(request, hear())
    render, content_type = FORMATS[fields.response_format]
    return Response(render(heard, fields.details), headers={"content-type": content_type})


async def _hear(
    upload: Upload, fields: Fields, settings: Settings, decoder: Decoder, hosted: Hosted, *, heard: Heard | None
) -> Transcript:
    # Known only now when the model was being loaded.
    async with hosted.scheduler.engine() as capabilities:
        demands.check(fields.options, capabilities, hosted.answers, detect=fields.detect)
        rules = cutting.rules(settings.windows, capabilities.window_seconds, fields.pad)
        recording = await decoder.decode(upload.file, fields.detection, cutting.longest_span(rules))
        # Nobody needs it any more, and a transcription may take long.
        upload.close()
        with recording, recording.waveform as waveform:
            windows = cut(recording.speech, waveform.length, rules)
            # Where nobody speaks there is nothing to transcribe, and an engine would invent something.
            results = await hosted.scheduler.transcribe(waveform, windows, fields.options, heard) if windows else []
            joined = transcript.join(windows, results, waveform.duration, fields.options.language)
    log.note(audio_seconds=joined.duration)
    log.note_transcript(joined.text)
    return joined

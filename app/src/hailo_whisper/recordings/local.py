"""The way without a server: the stations of one, in this process and its children."""

import asyncio
import contextlib
from pathlib import Path
from typing import Self

from ..engines.engine import Capabilities, Options
from ..engines.failures import EngineFailed, Unavailable
from ..engines.status import State
from ..engines.supervisor import Supervisor
from ..failure import Failure
from ..scheduling import cutting
from ..scheduling.scheduler import Scheduler
from ..settings import Settings
from ..speech import transcript
from ..speech.decoder import Decoder, Recording
from ..speech.transcript import Transcript, WindowResult
from ..speech.windows import Rules, cut
from .progress import Progress
from .stop import Stop

# In memory at a time; an hour takes 230 MB of it. One recording may have more.
MOST_SECONDS = 3600.0


def patient(settings: Settings) -> Settings:
    """The settings for somebody who waits for all of it: a recording has a day, and none is refused because others wait."""
    limits = {"deadline_seconds": 86400.0, "queued_seconds": 604800}
    return settings.model_copy(update={"limits": settings.limits.model_copy(update=limits)})


class Local:
    """A context manager that brings up the worker; `transcribe` may run several times at once.

    Several recordings at a time fill the engine's batches, as many clients of a server do.
    """

    concurrency = 16

    def __init__(
        self, settings: Settings, supervisor: Supervisor, scheduler: Scheduler, decoder: Decoder, options: Options
    ) -> None:
        self._settings = settings
        self._supervisor, self._scheduler, self._decoder = supervisor, scheduler, decoder
        self._options = options
        self._running: list[asyncio.Task[None]] = []
        self._held = 0.0
        self._room = asyncio.Condition()
        self._decoding = asyncio.Lock()

    async def __aenter__(self) -> Self:
        """Wait for the worker. Raises Stop when it cannot be started."""
        self._running = [asyncio.create_task(self._supervisor.run()), asyncio.create_task(self._scheduler.run())]
        try:
            await self._supervisor.settled()
            self._check()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._decoder.close()

    def _check(self) -> None:
        capabilities = self._supervisor.capabilities
        if capabilities is None or self._supervisor.state is State.FAILED:
            raise Stop(str(self._supervisor.reason))
        language = self._options.language
        if language is None and not capabilities.detects_language:
            raise Stop("The model does not detect languages. Name the one that is spoken with --language.")
        if language is not None and language not in capabilities.languages:
            known = ", ".join(capabilities.languages)
            raise Stop(f"The model does not know the language {language!r}. Use another model, or one of: {known}.")

    async def transcribe(self, path: Path, progress: Progress) -> Transcript:
        """Transcribe a file of any size. Raises Failure when it cannot be, Stop when there is no worker any more."""
        try:
            async with contextlib.AsyncExitStack() as stack:
                rules = self._rules(await stack.enter_async_context(self._scheduler.engine()))
                # What is being decoded is not counted yet, so it is only one recording at a time.
                async with self._decoding:
                    await self._wait_for_room()
                    recording = stack.enter_context(await self._decode(path, rules))
                    seconds = recording.waveform.duration
                    self._held += seconds
                stack.push_async_callback(self._leave, seconds)
                progress.known(path, seconds)
                return await self._hear(path, recording, rules, progress)
        except EngineFailed as error:
            raise Failure(str(error)) from None
        except Unavailable as error:
            raise Stop(f"The engine has failed: {self._supervisor.reason or error}") from None

    async def _decode(self, path: Path, rules: Rules) -> Recording:
        wanted = cutting.detection(self._settings.vad)
        try:
            with path.open("rb") as media:
                return await self._decoder.decode(media.fileno(), wanted, cutting.longest_span(rules))
        except OSError as error:
            raise Failure(f"It cannot be read: {error.strerror}. Check the name, the owner and the mode.") from None

    async def _hear(self, path: Path, recording: Recording, rules: Rules, progress: Progress) -> Transcript:
        waveform = recording.waveform
        windows = cut(recording.speech, waveform.length, rules)

        def heard(number: int, _: WindowResult) -> None:
            progress.moved(path, windows[number].duration)

        results = await self._scheduler.transcribe(waveform, windows, self._options, heard) if windows else []
        return transcript.join(windows, results, waveform.duration, self._options.language)

    def _rules(self, capabilities: Capabilities) -> Rules:
        return cutting.rules(self._settings.windows, capabilities.window_seconds, cutting.padding(self._settings.vad))

    async def _wait_for_room(self) -> None:
        async with self._room:
            await self._room.wait_for(lambda: self._held < MOST_SECONDS)

    async def _leave(self, seconds: float) -> None:
        async with self._room:
            self._held -= seconds
            self._room.notify_all()

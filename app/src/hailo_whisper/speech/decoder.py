"""The server's handle on the decoder's process: media in, waveform out, and a fresh process when that one died."""

import asyncio
import logging
import os

from ..failure import Failure
from ..service.child import Child, ChildDied, ChildTimeout, Message
from .waveform import Waveform, memory

log = logging.getLogger(__name__)


class MediaRefused(Failure):
    """The media cannot be transcribed; the message is for whoever sent it. `code` is that of the OpenAI contract, or None."""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class Decoder:
    """Decodes one recording at a time, `deadline` seconds and `max_seconds` of sound at most."""

    def __init__(self, max_seconds: float, deadline: float) -> None:
        self._max_seconds = max_seconds
        self._deadline = deadline
        self._child: Child | None = None
        self._lock = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """Process id of the decoder, when there is one."""
        return self._child.pid if self._child else None

    async def decode(self, media: bytes) -> Waveform:
        """Decode media of any supported format. Raises MediaRefused with a sentence for whoever sent it."""
        fd = memory("media", media)
        try:
            async with self._lock:
                answer = await self._ask(fd)
        finally:
            os.close(fd)
        if "refused" in answer.data:
            raise MediaRefused(answer.data["refused"], answer.data["code"])
        if "failed" in answer.data:
            log.warning("decoding failed: %s", answer.data["failed"])
            raise MediaRefused("Audio file might be corrupted or unsupported. Check that it plays, and send it again.")
        return Waveform.received(answer.fds[0], answer.data["length"])

    async def _ask(self, fd: int) -> Message:
        if self._child is None or not self._child.alive:
            self.close()
            self._child = Child("hailo_whisper.speech.decode")
        try:
            return await self._child.ask({"max_seconds": self._max_seconds}, [fd], deadline=self._deadline)
        except ChildDied as error:
            log.warning("the decoder died over an upload: %s", error)
            self.close()
            raise MediaRefused(
                "Audio file might be corrupted or unsupported: it crashed the decoder. Convert it, and send it again."
            ) from None
        except ChildTimeout:
            log.warning("the decoder did not finish within %.0f s and was killed", self._deadline)
            self.close()
            raise MediaRefused("The audio takes too long to decode. Send it in another format, or in parts.") from None

    def close(self) -> None:
        """End the process."""
        if self._child:
            self._child.close()
            self._child = None

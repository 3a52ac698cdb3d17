"""The server's handle on the decoders' processes: media in, waveform and speech out, and a fresh process when one died."""

import asyncio
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from ..failure import Failure
from ..service.channel import Message
from ..service.child import Child, ChildDied, ChildStarved, ChildTimeout
from ..service.metrics import Metrics
from .detection import Detection
from .waveform import RATE, Waveform
from .windows import Span

log = logging.getLogger(__name__)

IDLE_SECONDS = 3.0
"""Without a recording, after which a process is ended and its memory given back, as long as there is another."""

# Seconds for each second of the longest recording: what a slow machine takes that has other things to do.
DEADLINE_FACTOR = 0.05
CRASHED = "Audio file might be corrupted or unsupported: it crashed the decoder. Convert it, and send it again."
STARVED = "There is too little memory to decode this now: the kernel ended the decoder, twice. Send it again in a moment."
TOO_LONG = "The audio takes too long to decode. Send it in another format, or in parts."


class MediaRefused(Failure):
    """The media cannot be transcribed; the message is for whoever sent it.

    `code` is that of the OpenAI contract, or None; `reason` is a word for the metrics.
    """

    def __init__(self, message: str, code: str | None = None, reason: str = "refused") -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason


class NoMemory(Failure):
    """The kernel ended the decoder, because there was too little memory. The media may be sound; the message is for whoever sent it."""


@dataclass(frozen=True)
class Recording:
    """What was decoded; a context manager that closes the waveform."""

    waveform: Waveform
    speech: list[Span]
    """In order and without overlap; see speech.detection."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.waveform.close()


class Decoder:
    """Decodes up to `size` recordings at a time, each of `max_seconds` of sound at most.

    A recording may take `deadline` seconds and DEADLINE_FACTOR of `max_seconds`: one that burns CPU is stopped far earlier, by
    the limit that speech.decode sets itself. One process is kept for the next recording, for `keep_alive` seconds without any
    (below 0: for ever). `module` is another one in tests only.
    """

    def __init__(
        self,
        max_seconds: float,
        deadline: float,
        metrics: Metrics,
        *,
        size: int = 2,
        keep_alive: float = -1,
        module: str = "hailo_whisper.speech.decode",
    ) -> None:
        self._max_seconds = max_seconds
        self._deadline = deadline + max_seconds * DEADLINE_FACTOR
        self._keep_alive = keep_alive
        self._metrics = metrics
        self._module = module
        self._places = asyncio.Semaphore(size)
        self._idle: list[Child] = []
        self._busy: set[Child] = set()
        self._told = False
        self._endings: dict[Child, asyncio.TimerHandle] = {}

    def warm(self) -> None:
        """Start a process ahead of the first recording, which takes a quarter of a second."""
        if not self._idle and not self._busy:
            self._rest(Child(self._module))

    @property
    def pids(self) -> list[int]:
        """Process ids of the decoders that there are."""
        return [child.pid for child in [*self._busy, *self._idle]]

    def configure(self, max_seconds: float, deadline: float, keep_alive: float = -1) -> None:
        """Take new limits, for the recordings to come."""
        self._keep_alive = keep_alive
        self._max_seconds = max_seconds
        self._deadline = deadline + max_seconds * DEADLINE_FACTOR

    async def decode(self, media: int, detection: Detection | None, longest: float) -> Recording:
        """Decode media of any supported format, and find its speech, in spans of `longest` seconds at most.

        `media` is a descriptor, which stays the caller's. Without a detection all of the recording counts as speech. Raises
        MediaRefused or NoMemory with a sentence for whoever sent it. A caller that is cancelled ends the process that worked for it.
        """
        order = {
            "max_seconds": self._max_seconds,
            "detection": asdict(detection) if detection else None,
            "longest": longest,
        }
        async with self._places:
            began = time.monotonic()
            try:
                recording = await self._ask(order, media)
            except MediaRefused as refusal:
                self._metrics.decode_failed(refusal.reason)
                raise
            self._metrics.decoded(recording.waveform.duration, time.monotonic() - began)
            return recording

    def _recording(self, answer: Message) -> Recording:
        if not answer.data.get("shut_in", True) and not self._told:
            self._told = True
            log.warning("this machine has no seccomp filter for the decoder: only its memory, CPU time and output are limited")
        if "refused" in answer.data:
            raise MediaRefused(answer.data["refused"], answer.data["code"], "refused")
        if "failed" in answer.data:
            log.warning("decoding failed: %s", answer.data["failed"])
            raise MediaRefused(
                "Audio file might be corrupted or unsupported. Check that it plays, and send it again.", reason="failed"
            )
        try:
            return self._checked(answer)
        finally:
            for fd in answer.fds:
                os.close(fd)

    def _checked(self, answer: Message) -> Recording:
        """What the child says it heard. It has read what strangers sent, so that it is not believed; raises ValueError."""
        length = answer.data["length"]
        if type(length) is not int or not 0 < length <= self._max_seconds * RATE:
            raise ValueError(f"a length of {length!r} samples")
        spans: list[Span] = []
        at = 0
        for start, end in answer.data["speech"]:
            if type(start) is not int or type(end) is not int or not at <= start < end <= length:
                raise ValueError(f"speech from {start!r} to {end!r}")
            spans.append(Span(start, end))
            at = end
        if len(answer.fds) != 1:
            raise ValueError(f"{len(answer.fds)} descriptors")
        return Recording(Waveform.received(answer.fds.pop(), length), spans)

    async def _ask(self, order: Mapping[str, Any], media: int) -> Recording:
        try:
            return await self._try(self._take(), order, media)
        except ChildDied as error:
            # That need not be the file's doing: the process may have been on its way out already when it was taken.
            log.warning("the decoder died over an upload, and a new one is asked: %s", error)
        try:
            return await self._try(Child(self._module), order, media)
        except ChildDied as error:
            log.warning("the decoder died over an upload: %s", error)
            if isinstance(error, ChildStarved):
                self._metrics.decode_failed("memory")
                raise NoMemory(STARVED) from None
            raise MediaRefused(CRASHED, reason="crashed") from None

    async def _try(self, child: Child, order: Mapping[str, Any], media: int) -> Recording:
        """Ask one process. Raises MediaRefused, and ChildDied when it may not be the media's fault."""
        self._busy.add(child)
        try:
            recording = self._recording(await child.ask(order, [media], deadline=self._deadline))
        except MediaRefused:
            self._free(child)
            raise
        except ChildDied as error:
            if "SIGXCPU" not in str(error):
                raise
            log.warning("the decoder used up its CPU time over an upload: %s", error)
            raise MediaRefused(TOO_LONG, reason="cpu") from None
        except ChildTimeout:
            log.warning("the decoder did not finish within %.0f s and was killed", self._deadline)
            raise MediaRefused(TOO_LONG, reason="deadline") from None
        except (KeyError, OSError, TypeError, ValueError) as error:
            log.warning("the decoder answered nonsense over an upload, and is ended: %s: %s", type(error).__name__, error)
            raise MediaRefused(CRASHED, reason="nonsense") from None
        else:
            self._free(child)
            return recording
        finally:
            if child in self._busy:
                self._busy.remove(child)
                child.close()

    def _free(self, child: Child) -> None:
        self._busy.remove(child)
        self._rest(child)

    def _take(self) -> Child:
        while self._idle:
            child = self._idle.pop()
            self._endings.pop(child).cancel()
            if child.alive:
                return child
            child.close()
        return Child(self._module)

    def _rest(self, child: Child) -> None:
        self._idle.append(child)
        self._endings[child] = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._tire, child)

    def _tire(self, child: Child) -> None:
        """A process was idle for a while."""
        if len(self._idle) + len(self._busy) > 1:
            self._end(child)
        elif self._keep_alive >= 0:
            left = max(self._keep_alive - IDLE_SECONDS, 0.0)
            self._endings[child] = asyncio.get_running_loop().call_later(left, self._end, child)

    def _end(self, child: Child) -> None:
        self._idle.remove(child)
        self._endings.pop(child).cancel()
        child.close()

    def close(self) -> None:
        """End the processes."""
        for child in [*self._idle]:
            self._end(child)
        for child in self._busy:
            child.kill()

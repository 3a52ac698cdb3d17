"""What the scheduler knows of a request beside its job, and of a batch that is with the worker."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from ..speech.transcript import WindowResult
from ..speech.waveform import Waveform
from .queue import Piece

Heard = Callable[[int, WindowResult], None]
"""Called with the number of a window and what was heard in it, as soon as it is known; the windows come in any order."""


@dataclass(eq=False)
class Ticket:
    """A request that is queued or transcribed."""

    waveform: Waveform
    results: list[WindowResult | None]
    future: "asyncio.Future[list[WindowResult]]"
    heard: Heard | None
    waited: float | None = None
    """Seconds until its first batch."""
    engine: float = 0.0
    """Seconds of the batches that it had a part in."""

    def take(self, number: int, result: WindowResult) -> None:
        """One window was heard; with the last one the request is answered."""
        if self.future.done():
            return
        self.results[number] = result
        if self.heard:
            self.heard(number, result)
        whole = [one for one in self.results if one is not None]
        if len(whole) == len(self.results):
            self.future.set_result(whole)

    def fail(self, error: Exception) -> None:
        """Nothing comes of it."""
        if not self.future.done():
            self.future.set_exception(error)


@dataclass(eq=False)
class Flight:
    """A batch that is with the worker."""

    batch: list[Piece]
    due: float
    """When it is over at the latest, on the monotonic clock."""
    alone: bool = False
    """Whether no other batch is to be under way with it: it is the second try of what was lost."""
    express: bool = False
    """Whether it was taken although every lane was busy."""

    @property
    def seconds(self) -> float:
        """Seconds of sound in it."""
        return sum(piece.window.duration for piece in self.batch)

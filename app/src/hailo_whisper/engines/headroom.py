"""How much is decoded together, on a device whose memory others may take: less as soon as it runs out, and more again after a while."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from .engine import Strain

CALM = 300.0
"""Seconds without running out after which twice as much is tried again."""
WINDOW = 30.0
"""Seconds of sound of the longest window."""
FEW = 16.0
"""Seconds that are no more than two short commands."""
LESS_MEMORY = "Stop other programs on it (`nvidia-smi` shows them), or set model.compute_type to int8_float16, model.workers to 1, or a smaller model."

Piece = TypeVar("Piece")
Done = TypeVar("Done")


class Headroom:
    """Seconds of sound that are decoded together, `most` at first. One window is always tried, however long it is.

    `short` tells whether an error is that memory ran out. Safe from several threads.
    """

    def __init__(
        self, most: float, short: Callable[[Exception], bool] = lambda _: False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._short = short
        self._clock = clock
        self._seconds = most
        self._times = 0
        self._since = 0.0
        self._lock = threading.Lock()

    @property
    def seconds(self) -> float:
        """What may be decoded together now."""
        return self._seconds

    @property
    def strain(self) -> Strain:
        """How often memory ran out, and what is done about it now."""
        if self._seconds < self._most:
            why = (
                f"The GPU ran out of memory, and batches are smaller: {self._seconds:.0f} s of sound at most, or one window. "
                f"More is tried after {CALM / 60:.0f} minutes."
            )
        elif self._most < FEW:
            why = "The GPU has little memory left beside the model, and windows are decoded almost one by one."
        else:
            return Strain(self._times)
        return Strain(self._times, f"{why} {LESS_MEMORY}")

    def within(self, do: Callable[[], Done], seconds: float = WINDOW) -> Done:
        """Do what takes the memory of so many seconds and cannot be parted; twice, where memory is short.

        After an allocation that failed, CUDA may say so once more to whoever asks next. And what another thread had may be free again.
        """
        try:
            return do()
        except RuntimeError as error:
            if not self._ran_out(error, seconds):
                raise
        return do()

    def by_parts(
        self, pieces: Sequence[Piece], seconds: Callable[[Piece], float], do: Callable[[Sequence[Piece]], list[Done]]
    ) -> list[Done]:
        """Do it for all pieces together, or by halves where memory is short, down to one by one; `seconds` is of one piece."""
        together = len(pieces) * max(map(seconds, pieces))
        if len(pieces) == 1:
            return self.within(lambda: do(pieces), together)
        try:
            return do(pieces)
        except RuntimeError as error:
            if not self._ran_out(error, together):
                raise
        half = (len(pieces) + 1) // 2
        return self.by_parts(pieces[:half], seconds, do) + self.by_parts(pieces[half:], seconds, do)

    def worked(self) -> None:
        """All of a batch was done."""
        with self._lock:
            if self._seconds < self._most and self._clock() - self._since >= CALM:
                self._seconds = min(2 * self._seconds, self._most)
                self._since = self._clock()

    def _ran_out(self, error: Exception, seconds: float) -> bool:
        if not self._short(error):
            return False
        with self._lock:
            self._times += 1
            self._seconds = min(self._seconds, seconds / 2)
            self._since = self._clock()
        return True

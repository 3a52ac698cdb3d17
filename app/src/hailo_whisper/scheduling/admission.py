"""Admission: how much may wait at a time. Whoever comes when it is full is told when to come back, instead of waiting for ever.

Pure: it counts requests, and is told how much sound there is to do and how fast the engine does it.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager

from ..failure import Failure

SHORT = 30.0
"""Seconds of a short recording: who has no room for that is full."""
LONGEST_RETRY = 60
"""Seconds: who is sent away for longer does not come back."""


class Overloaded(Failure):
    """There is no room for a request now. `retry_after` is in whole seconds; `reason` is a word for the metrics."""

    def __init__(self, message: str, reason: str, retry_after: int) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_after = retry_after


class Admission:
    """Counts the requests that are being served, from their first byte to the end of their reply."""

    def __init__(self) -> None:
        self.requests = 0

    @contextmanager
    def place(self, most: int, queued: float, speed: float) -> Iterator[None]:
        """A request's place. Raises Overloaded when there are `most` already (see `check`)."""
        self.check(most, queued, speed)
        self.requests += 1
        try:
            yield
        finally:
            self.requests -= 1

    def check(self, most: int, queued: float, speed: float) -> None:
        """Raise Overloaded when there are `most` requests already.

        `queued` is the sound that waits or is transcribed, in seconds; `speed` the engine's seconds for one of these.
        """
        if self.requests >= most:
            raise Overloaded(
                f"The server is busy with {self.requests} requests, the most that it takes at a time (limits.requests). Try again later.",
                "requests",
                # One of them has to be done.
                retry_after(queued / max(self.requests, 1), speed),
            )


def check(seconds: float, most: float, queued: float, speed: float) -> None:
    """Raise Overloaded when `seconds` of sound more would make more than `most`; where nothing is queued, there is always room."""
    excess = queued + seconds - most
    if queued > 0 and excess > 0:
        raise Overloaded(
            f"The server has {queued:.0f} seconds of sound to transcribe already, and takes {most:.0f} at a time "
            "(limits.queued_seconds). Try again later.",
            "queued_seconds",
            retry_after(min(excess, queued), speed),
        )


def retry_after(sound: float, speed: float) -> int:
    """Whole seconds until so many seconds of sound are done."""
    return min(max(math.ceil(sound * speed), 1), LONGEST_RETRY)

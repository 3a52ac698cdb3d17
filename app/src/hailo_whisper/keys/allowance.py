"""How often somebody may come: so many times in any 60 seconds.

The library `limits` does this too. It was not taken, because it starts a thread for each few requests, to tidy up, counts by the
clock on the wall, which a machine without one sets right by hours after it has started, and brings a compiled package along.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

WINDOW_SECONDS = 60.0


@dataclass(frozen=True)
class Standing:
    """Where somebody stands who has just come."""

    limit: int
    """Requests in 60 seconds."""
    remaining: int
    """How many more there may be now."""
    reset: float
    """Seconds until there may be `limit` again."""
    wait: float | None
    """Seconds until there may be another one, for whoever came too often; None for who did not."""


class Allowance:
    """Remembers who came when. It is kept when the limit changes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._times: dict[str, deque[float]] = {}

    def take(self, name: str, limit: int) -> Standing:
        """Count a request, unless there were too many; those that were refused do not count."""
        now = self._clock()
        times = self._times.setdefault(name, deque())
        while times and times[0] <= now - WINDOW_SECONDS:
            times.popleft()
        wait = None
        if len(times) < limit:
            times.append(now)
        else:
            # The one whose going makes room: the oldest, or a later one after the limit was lowered.
            wait = times[len(times) - limit] + WINDOW_SECONDS - now
        return Standing(limit, max(limit - len(times), 0), times[-1] + WINDOW_SECONDS - now, wait)

"""How long an engine that was lost is left alone before it may serve again, so that a device that comes and goes does not cost each request.

Pure: whoever asks says what time it is.
"""

FIRST = 2.0
"""Seconds after a loss that is the first for a while: whatever serves in its place comes up meanwhile."""
AGAIN = 30.0
"""Seconds after a second one; twice as long after each further."""
LONGEST = 600.0
CALM = 600.0
"""Seconds of service after which what was before is forgotten."""


class Holdoff:
    """Counts the losses of an engine that was in service."""

    def __init__(self) -> None:
        self.losses = 0
        self._since: float | None = None

    def serves(self, now: float) -> None:
        """It is in service from now on."""
        self._since = now

    def lost(self, now: float) -> float:
        """It was lost. Returns the pause in seconds."""
        if self._since is not None and now - self._since >= CALM:
            self.losses = 0
        self._since = None
        self.losses += 1
        return FIRST if self.losses == 1 else min(AGAIN * 2 ** (self.losses - 2), LONGEST)

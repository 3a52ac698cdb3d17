"""How long to wait before a worker is started again, so that one that always fails does not keep the machine busy with it.

Pure: whoever asks says what time it is.
"""

FIRST_PAUSE = 2.0
"""Seconds after the first failed start; twice as long after the next."""
MOST_FAILURES = 3
"""Failed starts in a row after which the breaker is open: it hardly ever helps to try a fourth time what failed three times."""
OPEN_SECONDS = 300.0
"""Until an open breaker lets one attempt through all the same."""
FREE_LOSSES = 2
"""Workers lost in a row that are replaced at once: a recording that kills workers kills two."""
LONGEST_PAUSE = 30.0
"""Between workers that start well, and die before they have done anything."""


class Breaker:
    """Counts failed starts, and losses of workers that had started well, each in a row."""

    def __init__(self) -> None:
        self.failures = 0
        self.losses = 0
        self.next: float | None = None
        """When the next start is to be tried, on the caller's clock; None when nothing keeps it from it."""

    @property
    def open(self) -> bool:
        """Whether starting has failed so often that it is tried again but rarely."""
        return self.failures >= MOST_FAILURES

    def failed(self, now: float, longest: float = OPEN_SECONDS) -> float:
        """A start failed. Returns the pause in seconds, which is `longest` at most."""
        self.failures += 1
        pause = min(OPEN_SECONDS if self.open else FIRST_PAUSE * 2 ** (self.failures - 1), longest)
        self.next = now + pause
        return pause

    def lost(self, now: float) -> float:
        """A worker that had started well was lost. Returns the pause in seconds, 0 for none."""
        self.losses += 1
        over = self.losses - FREE_LOSSES
        pause = min(FIRST_PAUSE * 2 ** (over - 1), LONGEST_PAUSE) if over > 0 else 0.0
        self.next = now + pause if pause else None
        return pause

    def started(self) -> None:
        """A worker is there and warmed up."""
        self.failures = 0
        self.next = None

    def worked(self) -> None:
        """A worker has done something, or lived for long."""
        self.losses = 0

    def reset(self) -> None:
        """Something changed that may have been the cause."""
        self.failures = self.losses = 0
        self.next = None

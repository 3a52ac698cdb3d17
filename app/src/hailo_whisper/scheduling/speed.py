"""How fast the engine is on this machine, as measured while it works."""

FIRST_GUESS = 0.1
WEIGHT = 0.2
"""Of the newest batch in the running mean: some ten batches back is forgotten."""


class Speed:
    """A running mean of the engine's seconds for one second of sound."""

    def __init__(self) -> None:
        self._factor: float | None = None

    @property
    def factor(self) -> float:
        """Seconds for a second; a guess before the first batch."""
        return FIRST_GUESS if self._factor is None else self._factor

    def measured(self, sound: float, seconds: float) -> None:
        """A batch of so many seconds of sound took so many seconds."""
        if sound > 0:
            factor = seconds / sound
            self._factor = factor if self._factor is None else self._factor + WEIGHT * (factor - self._factor)

"""Windows: the spans of a waveform that the engine is given."""

from dataclasses import dataclass

from .waveform import RATE


@dataclass(frozen=True)
class Window:
    """Samples `start` to `end` (exclusive) of a waveform."""

    start: int
    end: int

    @property
    def offset(self) -> float:
        """Where the window begins in the recording, in seconds."""
        return self.start / RATE

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return (self.end - self.start) / RATE


def cut(length: int, window_seconds: float | None) -> list[Window]:
    """Cut a waveform of `length` samples into windows no longer than the engine takes (None: of any length)."""
    size = length if window_seconds is None else int(window_seconds * RATE)
    return [Window(start, min(start + size, length)) for start in range(0, length, size)] if length else []

"""Progress of a transfer: a bar on a terminal, lines in a log."""

import sys
from types import TracebackType
from typing import Protocol, Self, TextIO

from tqdm import tqdm

# A log gets a line each time another such share of the bytes is there.
STEP_PERCENT = 25


class Progress(Protocol):
    """Where a source reports how far it is. `reach` takes the bytes there so far, not the ones since the last call."""

    def reach(self, done: int) -> None:
        """Say how many bytes are there."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


class Bar:
    """A bar on a terminal that leaves no trace when it is done."""

    def __init__(self, label: str, total: int, stream: TextIO) -> None:
        self._total, self._done = total, 0
        self._bar = tqdm(desc=label, total=total, unit="B", unit_scale=True, file=stream, leave=False)

    def reach(self, done: int) -> None:
        """Move the bar to that many bytes; it never runs backwards nor past its end."""
        step = max(0, min(done, self._total) - self._done)
        self._done += step
        self._bar.update(step)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.close()


class Lines:
    """A line for every quarter, so that a log stays short and still shows that something moves."""

    def __init__(self, label: str, total: int, stream: TextIO) -> None:
        self._label, self._total, self._stream = label, total, stream
        self._said = 0

    def reach(self, done: int) -> None:
        """Say how far it is when another step has been passed."""
        if not self._total:
            return
        percent = min(100, 100 * done // self._total)
        step = percent - percent % STEP_PERCENT
        if step > self._said:
            self._said = step
            print(f"{self._label}: {step}% of {self._total / 1e6:.1f} MB", file=self._stream, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stream.flush()


def progress(label: str, total: int, stream: TextIO | None = None) -> Progress:
    """A bar when the stream (standard error unless told) is a terminal, lines when it is not. `total` is in bytes, above 0."""
    stream = stream or sys.stderr
    return Bar(label, total, stream) if stream.isatty() else Lines(label, total, stream)

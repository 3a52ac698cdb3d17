"""Progress over the seconds of sound: a bar on a terminal, and a line for each recording in any case."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

BAR = "{desc} {percentage:3.0f}%|{bar}| {n:.0f} of {total:.0f} s of sound [{elapsed}<{remaining}]"


class Progress:
    """How far a run is. How long a recording is shows when it is decoded; until then it is guessed from its size."""

    def __init__(self, sizes: Mapping[Path, int], stream: TextIO | None = None) -> None:
        """Begin with recordings of so many bytes each."""
        self._stream = stream or sys.stderr
        self._unknown = dict(sizes)
        self._count, self._finished = len(sizes), 0
        self._bytes = 0
        self._seconds: dict[Path, float] = {}
        self._under_way: dict[Path, float] = {}
        self._done = 0.0
        self._waiting: set[Path] = set()
        self._bar = (
            tqdm(desc=f"0/{self._count}", total=1, bar_format=BAR, file=self._stream, leave=False)
            if self._stream.isatty()
            else None
        )

    @property
    def done(self) -> float:
        """Seconds of sound that are behind."""
        return self._done + sum(self._under_way.values())

    @property
    def total(self) -> float:
        """Seconds of sound in all, as far as that can be told."""
        known = sum(self._seconds.values())
        rest = sum(self._unknown.values())
        return known + (rest * known / self._bytes if self._bytes else 0.0)

    def known(self, path: Path, seconds: float) -> None:
        """A recording is so long."""
        self._bytes += self._unknown.pop(path, 0)
        self._seconds[path] = seconds
        self._show()

    def moved(self, path: Path, seconds: float) -> None:
        """So many seconds more of a recording were transcribed."""
        reached = self._under_way.get(path, 0.0) + seconds
        self._under_way[path] = min(reached, self._seconds.get(path, reached))
        self._show()

    def waits(self, path: Path, line: str) -> None:
        """A recording waits. Said once, until it is done: who waits for minutes is to know what for, and not once a second."""
        if path in self._waiting:
            return
        self._waiting.add(path)
        self._print(f"{path}: {line}")

    def finished(self, path: Path, line: str) -> None:
        """A recording is done, well or badly; `line` says how."""
        self._unknown.pop(path, None)
        self._under_way.pop(path, None)
        self._done += self._seconds.get(path, 0.0)
        self._finished += 1
        self._waiting.discard(path)
        self._print(line)
        if self._bar is not None:
            self._bar.set_description_str(f"{self._finished}/{self._count}", refresh=False)
        self._show(at_once=True)

    def _print(self, line: str) -> None:
        """A line, above the bar where there is one."""
        if self._bar is None:
            print(line, file=self._stream, flush=True)
        else:
            self._bar.write(line, file=self._stream)

    def _show(self, at_once: bool = False) -> None:
        if self._bar is not None:
            self._bar.total = max(self.total, self.done, 1)
            self._bar.update(max(self.done - self._bar.n, 0))
            if at_once:
                self._bar.refresh()

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()

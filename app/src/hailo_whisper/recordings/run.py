"""The run: several recordings at once, each to its results, whatever becomes of the others."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ..failure import Failure
from ..speech.transcript import Transcript
from .progress import Progress
from .sources import Source
from .stop import Stop


class Way(Protocol):
    """How a recording becomes a transcript: in this process, or over HTTP."""

    @property
    def concurrency(self) -> int:
        """How many recordings it takes at once."""
        ...

    async def transcribe(self, path: Path, progress: Progress) -> Transcript:
        """Transcribe one. Raises Failure when it cannot be, Stop when none can be."""
        ...


class Sink(Protocol):
    """Where a transcript goes."""

    def prepare(self, source: Source) -> None:
        """Raise Stop when nothing could be written."""

    def write(self, source: Source, transcript: Transcript) -> Sequence[Path]:
        """Write it. Gives the files. Raises Stop when it cannot be written."""
        ...


@dataclass
class Report:
    """What became of the recordings."""

    done: list[Source] = field(default_factory=list)
    failed: list[tuple[Source, str]] = field(default_factory=list)


async def run(sources: Sequence[Source], way: Way, sink: Sink, progress: Progress, report: Report) -> None:
    """Transcribe all, and put into the report what became of each. Raises Stop; what was done until then stays done."""
    waiting = iter(sources)
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(way.concurrency, len(sources))):
                group.create_task(_each(waiting, way, sink, progress, report))
    except ExceptionGroup as group:
        # Several may have met with the same at the same time; of what nobody expected, all is told.
        stops = [error for error in group.exceptions if isinstance(error, Stop)]
        if len(stops) < len(group.exceptions):
            raise
        raise stops[0] from None


async def _each(waiting: Iterator[Source], way: Way, sink: Sink, progress: Progress, report: Report) -> None:
    for source in waiting:
        began = time.monotonic()
        try:
            await asyncio.to_thread(sink.prepare, source)
            transcript = await way.transcribe(source.path, progress)
            # A thread, so that a slow disk keeps nobody waiting; and when the run is broken off, what was begun is still written.
            paths = await asyncio.to_thread(sink.write, source, transcript)
        except Stop:
            raise
        except Failure as failure:
            report.failed.append((source, str(failure)))
            progress.finished(source.path, f"{source.path}: failed")
        else:
            report.done.append(source)
            took = time.monotonic() - began
            where = f" -> {', '.join(map(str, paths))}" if paths else ""
            progress.finished(source.path, f"{source.path}: {transcript.duration:.1f} s of sound in {took:.1f} s{where}")

"""The stations of a server without the server: what is tried transcribes exactly as a request would be."""

import asyncio
import contextlib
import io
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from ...engines.engine import Options
from ...engines.supervisor import Supervisor
from ...recordings.local import Local, patient
from ...recordings.progress import Progress
from ...scheduling.scheduler import Scheduler
from ...service.metrics import Metrics
from ...speech.decoder import Decoder
from .. import assembly
from .ground import Subject
from .recordings import Known


@dataclass(frozen=True)
class Bench:
    """A worker that is up, and what asks it."""

    local: Local
    supervisor: Supervisor
    folder: Path
    load_seconds: float
    """That a worker may take to start."""

    async def transcribe(self, known: Known) -> str:
        """The text of a recording. Raises Failure."""
        path = self.folder / f"{known.name}.wav"
        await asyncio.to_thread(path.write_bytes, known.wav)
        return (await self.local.transcribe(path, Progress({}, io.StringIO()))).text


@contextlib.asynccontextmanager
async def bench(subject: Subject) -> AsyncIterator[Bench]:
    """Bring the worker up. Raises Failure when that fails; it says why."""
    settings = patient(subject.settings)
    metrics = Metrics()
    supervisor = Supervisor(subject.launch, assembly.patience(settings), metrics)
    scheduler = Scheduler(supervisor, settings, metrics)
    scheduler.start_seconds = settings.limits.load_seconds
    decoder = Decoder(settings.limits.duration_seconds, settings.limits.deadline_seconds, metrics)
    # The recordings are English.
    options = Options(language="en", beam=settings.transcription.beam)
    with tempfile.TemporaryDirectory(prefix="hailo-whisper-selftest-") as folder:
        async with Local(settings, supervisor, scheduler, decoder, options) as local:
            yield Bench(local, supervisor, Path(folder), settings.limits.load_seconds)

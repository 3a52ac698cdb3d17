"""Results: the files that a transcript is written to, beside its recording or in a folder of their own."""

import contextlib
import os
import secrets
import time
from collections.abc import Sequence
from pathlib import Path

from ..failure import Failure
from ..formats import FORMATS
from ..speech.transcript import Transcript
from .sources import Source
from .stop import Stop

ENDINGS = {"json": ".json", "text": ".txt", "srt": ".srt", "vtt": ".vtt", "verbose_json": ".verbose.json"}


class Unwritable(Stop):
    """A result cannot be written. It ends the run: what comes after it could not be written either."""


class Results:
    """Where the results are, in which formats."""

    def __init__(self, formats: Sequence[str], folder: Path | None = None) -> None:
        self.formats = [*dict.fromkeys(formats)]
        self._folder = folder
        self._begun: dict[Source, int] = {}

    def paths(self, source: Source) -> dict[str, Path]:
        """The results of a recording, by format."""
        folder = source.path.parent if self._folder is None else self._folder / source.below
        return {name: folder / f"{source.path.stem}{ENDINGS[name]}" for name in self.formats}

    def check(self, sources: Sequence[Source]) -> None:
        """Raise Failure when two recordings would have the same result, or a result would overwrite a recording."""
        recordings = {source.path.absolute() for source in sources}
        owners: dict[Path, Source] = {}
        for source in sources:
            for path in self.paths(source).values():
                if path.absolute() in recordings:
                    raise Failure(f"The result of {source.path} would overwrite {path}. Name another folder with --output-dir.")
                other = owners.setdefault(path.absolute(), source)
                if other is not source:
                    raise Failure(
                        f"{other.path} and {source.path} would both be written to {path}. "
                        "Transcribe them one after the other, with another --output-dir each."
                    )

    def current(self, source: Source) -> bool:
        """Whether all results are there, and none is older than the recording."""
        try:
            written = source.path.stat().st_mtime_ns
            return all(path.stat().st_mtime_ns >= written for path in self.paths(source).values())
        except OSError:
            return False

    def prepare(self, source: Source) -> None:
        """Make the folder, so that nothing is transcribed that cannot be written, and note how old the recording is. Raises Unwritable."""
        for folder in {path.parent for path in self.paths(source).values()}:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise _unwritable(folder, error) from None
            if not os.access(folder, os.W_OK | os.X_OK):
                raise Unwritable(f"{folder} is not writable for this user. Name another folder with --output-dir.")
        with contextlib.suppress(OSError):
            self._begun[source] = source.path.stat().st_mtime_ns

    def write(self, source: Source, transcript: Transcript) -> list[Path]:
        """Write every result, each whole or not at all. Raises Unwritable.

        A recording that was changed meanwhile is newer than its results, and one that is dated in the future is not.
        """
        paths = self.paths(source)
        begun = self._begun.pop(source, None)
        with contextlib.suppress(OSError):
            if begun is not None and begun == source.path.stat().st_mtime_ns < time.time_ns():
                begun = None
        for name, path in paths.items():
            try:
                _replace(path, FORMATS[name][0](transcript), begun)
            except OSError as error:
                raise _unwritable(path, error) from None
        return [*paths.values()]


def _replace(path: Path, text: str, date: int | None) -> None:
    """Write a file at once. `date`: of its last modification, in nanoseconds; None for now."""
    # Hidden, and with no ending of a result: whatever is left of it after a power cut is taken for none.
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("x", encoding="utf-8") as stream:
            stream.write(text if text.endswith("\n") else f"{text}\n")
            stream.flush()
            os.fsync(stream.fileno())
        if date is not None:
            # Some network file systems let nobody set it: then it is transcribed once more by the next run, and nothing is lost.
            with contextlib.suppress(OSError):
                os.utime(part, ns=(date, date))
        part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def _unwritable(path: Path, error: OSError) -> Unwritable:
    return Unwritable(
        f"{path} cannot be written: {error.strerror}. Make room, or name another folder with --output-dir, and run the same again: "
        "what is done is not done twice."
    )

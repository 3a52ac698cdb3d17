"""Sources: the recordings that were named on the command line, one by one or by their folder."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..failure import Failure

# What is taken for a recording in a folder. A file that is named by itself may have any name: its content tells what it is.
ENDINGS = frozenset(
    ".aac .flac .m4a .m4b .mka .mkv .mov .mp3 .mp4 .mpeg .mpg .mpga .oga .ogg .opus .wav .webm".split(),
)


@dataclass(frozen=True)
class Source:
    """One recording."""

    path: Path
    below: Path = Path()
    """Where it lies in the folder that was named; a folder of results is laid out likewise."""

    @property
    def size(self) -> int:
        """Bytes of the file; 0 when it is not there."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0


def find(names: Sequence[Path], *, recursive: bool) -> list[Source]:
    """Every recording that was named, each once, in the order of the names and then of the alphabet.

    What is not there is found all the same, since it costs nothing but itself when its turn comes. Of a folder, those in the folders
    below it are found with `recursive` only. Raises Failure when a folder has no recording in it.
    """
    found: dict[Path, Source] = {}
    for name in names:
        sources = [*_walk(name, recursive=recursive)] if name.is_dir() else [Source(name)]
        if not sources:
            below = "" if recursive else " Add --recursive to look in the folders below it too."
            raise Failure(
                f"There is no recording in {name}: looked for {', '.join(sorted(ENDINGS))}. Name the files one by one.{below}"
            )
        for source in sources:
            found.setdefault(source.path.absolute(), source)
    return [*found.values()]


def _walk(folder: Path, *, recursive: bool) -> Iterator[Source]:
    def refuse(error: OSError) -> None:
        raise Failure(f"{error.filename} cannot be read: {error.strerror}. Check its owner and mode.")

    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith(".")) if recursive else []
        for name in sorted(names):
            path = Path(place) / name
            if path.suffix.lower() in ENDINGS and not name.startswith("."):
                yield Source(path, path.parent.relative_to(folder))

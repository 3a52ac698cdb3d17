"""A folder on this machine as a source: a stick, a share, another store."""

from pathlib import Path

from ..catalog import Model
from ..progress import Progress
from ..sums import CHUNK
from .failed import SourceFailed


class FolderSource:
    """Copies from a folder that holds the files of one model, or a folder for each model under its name."""

    def __init__(self, folder: Path, name: str | None = None) -> None:
        """`name` is how the user called it, where that is not `folder:` and the path."""
        self.folder = folder
        self._name = name or f"folder:{folder}"

    @property
    def name(self) -> str:
        """`folder:` and the path, or how the user called it."""
        return self._name

    def extra_space(self, model: Model) -> int:
        """None: the files are copied straight to their place."""
        return 0

    def fetch(self, model: Model, into: Path, work: Path, progress: Progress) -> None:
        """Copy the files. Raises SourceFailed when one is absent, unreadable or longer than it must be."""
        done = 0
        try:
            folder = self.folder / model.name
            if not folder.is_dir():
                folder = self.folder
            # Only regular files: opening a pipe would wait for a writer that never comes.
            absent = [name for name in model.files if not (folder / name).is_file()]
            if absent:
                raise SourceFailed(f"{folder} has no {', '.join(absent)}")
            for name, expected in model.files.items():
                size = (folder / name).stat().st_size
                if expected.size is not None and size != expected.size:
                    raise SourceFailed(f"{folder / name} has {size} of {expected.size} bytes")
            for name in model.files:
                with (folder / name).open("rb") as source, (into / name).open("wb") as target:
                    while chunk := source.read(CHUNK):
                        target.write(chunk)
                        done += len(chunk)
                        progress.reach(done)
        except PermissionError as error:
            raise SourceFailed(f"{error.filename} may not be read by this user") from error

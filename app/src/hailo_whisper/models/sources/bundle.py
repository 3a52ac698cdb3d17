"""A bundle as a source: a file with models that `hailo-whisper models export` made."""

import tarfile
from pathlib import Path

from ...failure import Failure
from ..bundle import read
from ..catalog import Model
from ..progress import Progress
from ..signature import Trust
from ..sums import CHUNK
from .failed import NotOffered, SourceFailed


class BundleSource:
    """Takes the files out of a bundle, which must have them all, and a signature where one is asked for."""

    def __init__(self, path: Path, trust: Trust | None = None) -> None:
        self.path, self.trust = path, trust or Trust()

    @property
    def name(self) -> str:
        """`bundle:` and the path."""
        return f"bundle:{self.path}"

    def extra_space(self, model: Model) -> int:
        """None: the files are copied straight to their place."""
        return 0

    def fetch(self, model: Model, into: Path, work: Path, progress: Progress) -> None:
        """Copy the files. Raises SourceFailed when the bundle is refused, and NotOffered when it has no such model."""
        try:
            bundle = read(self.path, self.trust)
            if bundle.get(model.name) is None:
                has = ", ".join(packed.entry.name for packed in bundle.manifest.models)
                raise NotOffered(f"it has {has}, and not {model.name}")
            done = 0
            for name, stream in bundle.files(model.name):
                if name not in model.files:
                    continue
                with (into / name).open("wb") as target:
                    while chunk := stream.read(CHUNK):
                        target.write(chunk)
                        done += len(chunk)
                        progress.reach(done)
        except SourceFailed:
            raise
        except (Failure, tarfile.TarError) as error:
            raise SourceFailed(str(error)) from error

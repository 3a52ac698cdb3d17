"""Sources: the places a model's files can come from. A file each, behind one small interface."""

from pathlib import Path
from typing import Protocol

from ...failure import Failure
from ..catalog import Model
from ..progress import Progress
from .failed import SourceFailed
from .folder import FolderSource
from .hub import HubSource
from .wheels import WheelsSource

__all__ = ["DEFAULT_ORDER", "FolderSource", "HubSource", "Source", "SourceFailed", "WheelsSource", "parse"]

DEFAULT_ORDER = ("hub", "wheels")


class Source(Protocol):
    """One place. What it brings is not trusted: `pull` verifies it."""

    @property
    def name(self) -> str:
        """How users call it, such as `hub` or `folder:/media/stick`."""

    def extra_space(self, model: Model) -> int:
        """Bytes needed on the disk for a while, beside the files themselves."""

    def fetch(self, model: Model, into: Path, work: Path, progress: Progress) -> None:
        """Write every file of the model into the folder `into`, using the folder `work` as scratch space.

        Raises SourceFailed when it cannot. Never waits for ever.
        """


def parse(text: str) -> Source:
    """The source that a user or a configuration names: `hub`, `wheels` or `folder:/path`. Raises Failure for another."""
    kind, _, argument = text.partition(":")
    if kind == "folder" and argument:
        return FolderSource(Path(argument).expanduser().absolute())
    if text == "hub":
        return HubSource()
    if text == "wheels":
        return WheelsSource()
    raise Failure(f"There is no source {text!r}. Use hub, wheels or folder:/path/to/folder.")

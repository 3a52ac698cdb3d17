"""Sources: the places a model's files can come from. A file each, behind one small interface."""

from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from ...failure import Failure
from ..catalog import Model
from ..progress import Progress
from ..signature import Trust
from .bundle import BundleSource
from .failed import NotOffered, SourceFailed
from .folder import FolderSource
from .hailo_apps import HailoAppsSource
from .https import HttpsSource, MirrorSource
from .hub import HubSource
from .patience import Patience
from .wheels import WheelsSource

__all__ = [
    "KNOWN",
    "BundleSource",
    "FolderSource",
    "HailoAppsSource",
    "HttpsSource",
    "HubSource",
    "MirrorSource",
    "NotOffered",
    "Patience",
    "Source",
    "SourceFailed",
    "WheelsSource",
    "parse",
]

KNOWN = "hub, https, wheels, hailo-apps, folder:/path/to/folder, bundle:/path/to/bundle, mirror:https://host/path or mirror:file:///path"


class Source(Protocol):
    """One place. What it brings is not trusted: `pull` verifies it."""

    @property
    def name(self) -> str:
        """How users call it, such as `hub` or `folder:/media/stick`."""

    def extra_space(self, model: Model) -> int:
        """Bytes needed on the disk for a while, beside the files themselves. Raises NotOffered when it never has the model."""

    def fetch(self, model: Model, into: Path, work: Path, progress: Progress) -> None:
        """Write every file of the model into the folder `into`, using the folder `work` as scratch space.

        `work` may hold what an interrupted transfer left there, from this source or another: it may be gone on with. Raises
        SourceFailed when it cannot. Never waits for ever.
        """


def parse(text: str, patience: Patience | None = None, trust: Trust | None = None) -> Source:
    """The source that a user or a configuration names, one of `KNOWN`. `trust` is for bundles. Raises Failure for another."""
    kind, _, argument = text.partition(":")
    if kind == "folder" and argument:
        return FolderSource(Path(argument).expanduser().absolute())
    if kind == "bundle" and argument:
        return BundleSource(Path(argument).expanduser().absolute(), trust)
    if kind == "mirror":
        return _mirror(text, argument, patience)
    if text == "hub":
        return HubSource(patience)
    if text == "https":
        return HttpsSource(patience)
    if text == "wheels":
        return WheelsSource(patience)
    if text == "hailo-apps":
        return HailoAppsSource(patience)
    raise Failure(f"There is no source {text!r}. Use {KNOWN}.")


def _mirror(text: str, address: str, patience: Patience | None) -> Source:
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        raise Failure(
            f"The source {text!r} has no address. Write it as mirror:https://host/path or mirror:file:///path."
        ) from None
    if parts.scheme == "file" and parts.netloc in {"", "localhost"} and parts.path:
        return FolderSource(Path(unquote(parts.path)), name=text)
    if parts.scheme in {"http", "https"} and parts.hostname and not parts.query and not parts.fragment:
        return MirrorSource(address, patience)
    raise Failure(f"The source {text!r} has no address. Write it as mirror:https://host/path or mirror:file:///path.")

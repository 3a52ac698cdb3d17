"""Plain addresses as a source: those that the catalog knows for a model's files, and a mirror of a store on a fleet's own server."""

import urllib.parse
from pathlib import Path

from ..catalog import Model
from ..progress import Progress
from .failed import NotOffered
from .patience import Patience
from .reach import Reach
from .transfer import Item, transfer


class HttpsSource:
    """The publisher's own addresses, one for each file."""

    name = "https"

    def __init__(self, patience: Patience | None = None) -> None:
        self._patience = patience or Patience()
        self._reach = Reach(self._patience.connect, "sources.https in the catalog")

    def extra_space(self, model: Model) -> int:
        """None: what is downloaded is moved to its place. Raises NotOffered without addresses."""
        _of(model)
        return 0

    def fetch(self, model: Model, into: Path, work: Path, progress: Progress) -> None:
        """Download the files. Raises SourceFailed."""
        addresses = _of(model)
        for address in addresses.values():
            self._reach.check(address)
        items = [Item(name, addresses[name], expected) for name, expected in model.files.items()]
        transfer(items, into, work, progress, patience=self._patience)


def _of(model: Model) -> dict[str, str]:
    if model.sources.https is None:
        raise NotOffered(f"the catalog knows no address for {model.name}")
    return model.sources.https


class MirrorSource:
    """A web server with the folders of a store: `ADDRESS/NAME/FILE`. A user and a password may stand in the address."""

    def __init__(self, address: str, patience: Patience | None = None) -> None:
        self._address = address.rstrip("/")
        self._patience = patience or Patience()
        self._reach = Reach(self._patience.connect, "the mirror's address")

    @property
    def name(self) -> str:
        """`mirror:` and the address, without the password, because it is shown and recorded."""
        parts = urllib.parse.urlsplit(self._address)
        return f"mirror:{parts._replace(netloc=parts.netloc.rpartition('@')[2]).geturl()}"

    def extra_space(self, model: Model) -> int:
        """None: what is downloaded is moved to its place."""
        return 0

    def fetch(self, model: Model, into: Path, work: Path, progress: Progress) -> None:
        """Download the files. Raises SourceFailed."""
        self._reach.check(self._address)
        items = [Item(name, f"{self._address}/{model.name}/{name}", expected) for name, expected in model.files.items()]
        transfer(
            items,
            into,
            work,
            progress,
            patience=self._patience,
            refused="check the user and the password in the mirror's address",
        )

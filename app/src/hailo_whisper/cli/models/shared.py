"""What the actions share: the store and the settings, how they speak, and how they are interrupted."""

import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from ... import settings
from ...models import catalog
from ...models.signature import Trust, public_key
from ...models.store import PACKAGED, Store
from ...settings import Models


@dataclass(frozen=True)
class Place:
    """Where the models are, and the settings about them."""

    store: Store
    settings: Models
    resources: Path
    """The folder of hailo-apps."""

    @property
    def trust(self) -> Trust:
        """Whose signatures are taken. Raises SignatureWrong for a setting that is no key."""
        return Trust(tuple(public_key(key) for key in self.settings.signing_keys), self.settings.require_signature)


def place(dest: Path | None) -> Place:
    """The store in the folder, or in the one of the settings. Raises Failure when the settings or the catalog cannot be read."""
    configured = settings.load(missing_ok=True)
    known = catalog.load(extra=Path(configured.models.catalog))
    resources = Path(configured.hailo.resources)
    if dest is None:
        store = Store(Path(configured.storage.models), known, packaged=PACKAGED)
        return Place(store, configured.models, resources)
    command = f"hailo-whisper models pull {{name}} --dest {shlex.quote(str(dest))}"
    return Place(Store(dest.expanduser().absolute(), known, command), configured.models, resources)


@contextmanager
def stopped_by_sigterm() -> Iterator[None]:
    """Let SIGTERM (a service manager, a time limit) clean up as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def say(line: object) -> None:
    """Say something to the person, and not to the script that reads standard output."""
    print(line, file=sys.stderr, flush=True)

"""How a worker is to be started, and how long to wait for what."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..speech.waveform import Waveform
from .engine import Options


@dataclass(frozen=True)
class WarmUp:
    """What the worker has to hear right before anybody else may ask: the check raises Failure when it did not."""

    waveform: Waveform
    options: Options
    check: Callable[[str], None]


@dataclass(frozen=True)
class Found:
    """A model that can be loaded."""

    name: str
    path: Path
    """The folder with its files."""
    sha256: str | None = None
    """Of its largest file, which are the weights, as it was when they were verified; None when nobody has."""
    memory_mb: int = 0
    """What a worker with it is expected to need, in MB."""
    names: tuple[str, ...] = ()
    """What it is called besides."""
    fallback_for: str | None = None
    """The model in whose place it stands, because that one cannot be used."""
    reason: str | None = None
    """Why it cannot, and what to do about it."""

    @property
    def facts(self) -> dict[str, object]:
        """What is known of it, for the log."""
        facts: dict[str, object | None] = {
            "model": self.name,
            "path": str(self.path),
            "sha256": self.sha256,
            "fallback_for": self.fallback_for,
        }
        return {name: fact for name, fact in facts.items() if fact is not None}


@dataclass(frozen=True)
class Launch:
    """How a worker is started. `prepare` finds the model and verifies it, or raises Failure; it may block, and is asked often."""

    model: str
    """The configured name of the model."""
    engine: str
    """`module:Class` of the engine."""
    prepare: Callable[[], Found]
    compute_type: str
    threads: int
    warm_up: WarmUp
    device: str = "cpu"
    """That the engine is to use, where its class knows several: "cpu" or "cuda"."""
    device_index: int = 0
    """Which of several GPUs."""
    workers: int = 0
    """Batches at the same time; 0: what suits the device."""
    batch: int = 0
    margin_seconds: float = 5.0
    least_seconds: float = 10.0
    group: str = "UNIQUE"
    """Of the programs that share the device; "UNIQUE": this one has it alone."""
    device_wait: float = 30.0
    """Seconds that a device is waited for that others have, before the start counts as failed."""
    kind: str = ""
    """What the settings call the engine."""
    processor: str = "the engine"
    """What it runs on, as a part of a sentence."""
    stand_in: "Launch | None" = None
    """How a worker is started that serves while none of this engine can be."""
    signs: Callable[[], object] = lambda: None
    """What changes when the engine's device comes or goes. Asked every few seconds; it may block, but asks the device nothing."""

    @property
    def engine_name(self) -> str:
        """What the engine is called: as in the settings, or the module or package that it is in, if it is somebody's own."""
        return self.kind or self.engine.partition(":")[0].removeprefix(f"{__package__}.").partition(".")[0]


@dataclass(frozen=True)
class Patience:
    """How long to wait for what, in seconds."""

    load: float
    batch: float
    """For any batch at least ..."""
    factor: float
    """... and besides for each second of its sound."""
    keep_alive: float
    """Without a request, until the worker is ended; below 0: for ever."""
    start: float = 30.0
    """That a request waits for a worker that is being started."""


def fingerprint(path: Path) -> object:
    """What changes when the files of a model do; `path` is their folder, or the one file. Blocks."""
    try:
        entries = [path] if path.is_file() else [*path.iterdir()]
        found = [(entry.name, entry.stat()) for entry in entries]
    except OSError as error:
        return error.errno
    # The time of the inode's change tells of a new mode or owner too.
    return sorted((name, about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino) for name, about in found)

"""What the checks look at: the file system below a root, the settings, what the machine has, and programs that are asked with a deadline."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...accelerators.accounts import User
from ...accelerators.asking import asked
from ...accelerators.cpu import Cpu
from ...accelerators.hailo import Binding
from ...accelerators.machine import Machine
from ...settings import Settings
from .units import Units

SERVICE_USER = "hailo-whisper"
SECONDS = 5.0
"""That a program may take to answer."""

Ask = Callable[[Sequence[str]], str | None]
"""Runs a program and gives what it printed; None when it is not there, failed or took too long."""


@dataclass(frozen=True)
class Patient:
    """A machine under examination."""

    root: Path
    config: Path | None
    """The configuration that was asked for; None: the one that the service finds."""
    settings: Settings
    """Those in force, or the defaults where they cannot be read."""
    machine: Machine
    """As the service sees it, by its user and groups."""
    cpu: Cpu
    user: User | None
    """The service's; None where there is none: then this user is meant."""
    units: Units | None
    """None where there is no systemd."""
    ask: Ask
    binding: Callable[[], Binding]
    """Loads HailoRT's Python binding in a child."""
    is_root: bool

    @property
    def installed(self) -> bool:
        """Whether there is a unit that systemd runs."""
        return self.units is not None and self.units.service.installed

    @property
    def hidden(self) -> list[str]:
        """The accelerators that the unit hides from the service."""
        if self.units is None or not self.installed or self.units.service.private_devices != "yes":
            return []
        return [name for name, nodes in (("hailo", self.machine.npu.nodes), ("nvidia", self.machine.gpu.nodes)) if nodes]


def ask(command: Sequence[str]) -> str | None:
    """Run a program; see Ask."""
    try:
        done = asked(command, SECONDS)
    except OSError:
        return None
    return done.out.strip() if done and done.status == 0 else None

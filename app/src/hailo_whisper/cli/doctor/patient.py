"""What the checks look at: the file system below a root, the settings, what the machine has, and programs that are asked with a deadline."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...accelerators.accounts import User
from ...accelerators.asking import asked
from ...accelerators.cpu import Cpu
from ...accelerators.hailo import Binding
from ...accelerators.machine import Machine
from ...settings import Settings
from .. import engines
from . import access
from .units import Units

KINDS = {"hailo": "hailo", "nvidia": "cuda"}
"""The engine of each accelerator."""
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
    """Those in force; where they cannot be read, those that people have written, or the defaults."""
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
    _deciding: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)
    _decided: list[engines.Decision] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def installed(self) -> bool:
        """Whether there is a unit that systemd runs."""
        return self.units is not None and self.units.service.installed

    @property
    def hidden(self) -> dict[str, str]:
        """The accelerators that the unit hides from the service, "hailo" or "nvidia", and what in the unit does."""
        if self.units is None or not self.installed:
            return {}
        here = {"hailo": self.machine.npu.nodes, "nvidia": self.machine.gpu.nodes}
        found = {name: access.hidden(self.units.service, name, nodes, self.root) for name, nodes in here.items() if nodes}
        return {name: why for name, why in found.items() if why}

    @property
    def decision(self) -> engines.Decision:
        """The engine that the service takes: with `auto` none whose device its unit hides.

        It is decided once. The model's files are read for it: only a check may ask, as a check has a deadline.
        """
        with self._deciding:
            if not self._decided:
                hidden = {
                    KINDS[name]: f"the unit hides the {name} device by {why} (see unit-device)"
                    for name, why in self.hidden.items()
                }
                self._decided.append(engines.decide(self.settings, self.machine, hidden))
            return self._decided[0]


def ask(command: Sequence[str]) -> str | None:
    """Run a program; see Ask."""
    try:
        done = asked(command, SECONDS)
    except OSError:
        return None
    return done.out.strip() if done and done.status == 0 else None

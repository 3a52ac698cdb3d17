"""Machines for the doctor: folders, with a scripted systemd."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from machines import FakeMachine

from hailo_whisper.accelerators import accounts, cpu, nvidia
from hailo_whisper.accelerators.hailo import Binding
from hailo_whisper.accelerators.machine import survey
from hailo_whisper.cli.doctor.patient import Patient
from hailo_whisper.cli.doctor.units import Unit, Units
from hailo_whisper.settings import parse

GPU = nvidia.Probe((nvidia.Gpu("NVIDIA H200", 150_000),), "12.4")
WELL = {
    "LoadState": "loaded",
    "UnitFileState": "enabled",
    "ActiveState": "active",
    "SubState": "running",
    "PrivateDevices": "yes",
}


def patient(
    machine: FakeMachine,
    *,
    said: Mapping[str, str] | None = None,
    service: Mapping[str, str] | None = None,
    socket: Mapping[str, str] | None = None,
    binding: Binding | None = None,
    probe: nvidia.Probe = GPU,
    is_root: bool = True,
    config: Path | None = None,
    **sections: dict[str, Any],
) -> Patient:
    """A machine under examination. `said` is what programs print, by the first of their words that is named."""

    def ask(command: Sequence[str]) -> str | None:
        return next((text for name, text in (said or {}).items() if name in command), None)

    storage = {"models": str(machine.root / "store"), "cache": str(machine.root / "cache")}
    settings = parse({"storage": storage} | sections, "test")
    user = accounts.user(machine.root, "hailo-whisper")
    units = None if service is None else Units(Unit(dict(service)), Unit(dict(socket or {})))
    return Patient(
        machine.root,
        config,
        settings,
        survey(machine.root, user, lambda: probe),
        cpu.survey(machine.root),
        user,
        units,
        ask,
        lambda: binding or Binding("5.2.0"),
        is_root,
    )

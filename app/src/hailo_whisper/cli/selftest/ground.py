"""What is tried: the engine that serves here, on which device, and whether that may be tried now."""

from dataclasses import dataclass
from pathlib import Path

from ...accelerators import cpu, hailo, holders, machine
from ...accelerators.hailo import Binding
from ...accelerators.machine import Machine
from ...engines.launch import Launch
from ...engines.warm_up import warm_up
from ...failure import Failure
from ...settings import Settings
from .. import assembly, engines
from .identity import Identity, identify

ALONE = "UNIQUE"
STOP = "`systemctl stop hailo-whisper.socket hailo-whisper.service`"
ROOT = Path("/")


@dataclass(frozen=True)
class Subject:
    """What is tried."""

    settings: Settings
    decision: engines.Decision
    machine: Machine
    cpu: cpu.Cpu
    binding: Binding | None
    """HailoRT's, where the engine is on it."""
    identity: Identity
    launch: Launch
    sharing: str
    """Who else has the device, as a sentence; empty when nobody can be seen."""

    @property
    def emulated(self) -> bool:
        """Whether the device is the emulator of the tests: then no figure says anything about hardware."""
        return self.binding is not None and self.binding.emulated

    @property
    def shared(self) -> bool:
        """Whether the device is one that several programs may share."""
        return self.decision.kind == "hailo"


def prepare(settings: Settings, *, hardware: bool, root: Path = ROOT) -> Subject:
    """Find out what is to be tried. Raises Failure when it cannot or must not be."""
    found = machine.survey(root)
    decision = engines.decide(settings, found)
    binding = hailo.ask_binding() if decision.kind == "hailo" else None
    if hardware:
        _insist(decision, binding)
    held = holders.found(root / "proc") if decision.kind == "hailo" else []
    if held and settings.hailo.group == ALONE:
        who = "the service" if all(holder.ours for holder in held) else ", ".join(map(str, held))
        raise Failure(
            f"The device is held by {who}, and hailo.group is {ALONE}. Stop it first ({STOP}), or set hailo.group to SHARED for both, "
            "so that the test can share it."
        )
    # The worker stays until all is tried, and nothing stands in for what is tried: it would pass for it.
    kept = settings.model.model_copy(update={"keep_alive": -1, "fallback": []})
    known = settings.model_copy(
        update={"model": kept, "engine": settings.engine.model_copy(update={"kind": decision.kind, "fallback": "none"})}
    )
    launch = assembly.launch(known, None, warm_up(settings.transcription.beam))
    return Subject(
        known,
        decision,
        found,
        cpu.survey(root),
        binding,
        identify(decision.kind, found, binding),
        launch,
        f"Held besides by {', '.join(map(str, held))}." if held else "",
    )


def _insist(decision: engines.Decision, binding: Binding | None) -> None:
    if decision.kind == engines.CPU:
        why = "; ".join(decision.lacking.values()) or "engine.kind is set to ctranslate2"
        raise Failure(
            f"--hardware wants an accelerator, and here the CPU would transcribe: {why}. `hailo-whisper doctor` tells more."
        )
    if binding and binding.emulated:
        raise Failure(
            "--hardware wants a real device, and this one is emulated. Take the emulator off PYTHONPATH, or leave --hardware out."
        )

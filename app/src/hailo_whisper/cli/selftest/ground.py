"""What is tried: the engine that serves here, on which device, and whether that may be tried now."""

from dataclasses import dataclass
from pathlib import Path

from ...accelerators import cpu, hailo, holders, machine
from ...accelerators.hailo import ALONE, Binding
from ...accelerators.machine import Machine
from ...engines.launch import Launch
from ...engines.warm_up import warm_up
from ...failure import Failure
from ...settings import Settings
from .. import assembly, engines
from .identity import Identity, identify

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
        """Whether the device is one that programs share, or have to wait for."""
        return self.decision.kind == "hailo"

    @property
    def joinable(self) -> bool:
        """Whether it lets in several programs of one group at a time; by what it says of itself, and by the bus."""
        return hailo.shares(self.identity.name) and hailo.shares(_architecture(self.machine))

    @property
    def beside(self) -> bool:
        """Whether somebody else has the device meanwhile."""
        return bool(self.sharing)


def prepare(settings: Settings, *, hardware: bool, beside: bool = False, root: Path = ROOT) -> Subject:
    """Find out what is to be tried; `beside` is to go on although somebody else has the device. Raises Failure when it cannot or must not be."""
    found = machine.survey(root)
    decision = engines.decide(settings, found)
    binding = hailo.ask_binding() if decision.kind == "hailo" else None
    if hardware:
        _insist(decision, binding)
    held = holders.found(root / "proc") if decision.kind == "hailo" else []
    if held:
        _give_way(held, settings.hailo.group, hailo.shares(_architecture(found)), beside=beside)
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


def _give_way(held: list[holders.Holder], group: str, shares: bool, *, beside: bool) -> None:
    """Leave a device alone that somebody has: the test loads a model of its own, for which there may be no room, and takes of the device's time."""
    ours = all(holder.ours for holder in held)
    who = "the service" if ours else ", ".join(map(str, held))
    stop = f"Stop it first ({STOP}), and start it again after." if ours else "Stop it first."
    if not shares:
        raise Failure(f"The device is held by {who}, and a Hailo-8 or 8L has one program at a time. {stop}")
    if group == ALONE:
        raise Failure(
            f"The device is held by {who}, and hailo.group is {ALONE}. {stop} Or set hailo.group to SHARED for both, and give --beside."
        )
    if not beside:
        raise Failure(
            f"The device is held by {who}, whom the test would disturb: it loads a second model. {stop} "
            "Or give --beside: then it is tried beside, without the trials of latency and sharing."
        )


def _architecture(found: Machine) -> str | None:
    return next((board.architecture for board in found.npu.boards), None)

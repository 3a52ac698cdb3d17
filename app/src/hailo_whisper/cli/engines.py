"""Which engine transcribes here: the one that is set, or, with `auto`, the best that this machine has. It is decided here and nowhere else."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from ..accelerators import hailo
from ..accelerators.machine import Machine, survey
from ..failure import Failure
from ..settings import Settings
from . import stock
from .choice import HefChoice

log = logging.getLogger(__name__)

CLASSES = {
    "ctranslate2": "hailo_whisper.engines.ctranslate2:CTranslate2Engine",
    "cuda": "hailo_whisper.engines.ctranslate2:CTranslate2Engine",
    "hailo": "hailo_whisper.engines.hailo.engine:HailoEngine",
}
DEVICES = {"cuda": "cuda"}
"""That the engine's class is to use, where it knows several; else the CPU."""
BEST_FIRST = ("hailo", "cuda")
CPU = "ctranslate2"
NAMES = {"hailo": "the Hailo NPU", "cuda": "the NVIDIA GPU", CPU: "the CPU"}


@dataclass(frozen=True)
class Decision:
    """An engine, and why it."""

    kind: str
    reason: str
    """A sentence, which also says what is missing for a better one."""
    lacking: Mapping[str, str]
    """What keeps each better kind from being taken, and the cure; parts of sentences."""


def hefs(settings: Settings) -> HefChoice:
    """What finds the configured model for the NPU. Raises CatalogInvalid."""
    return HefChoice(
        stock.store(settings), settings.model.name, path=settings.model.path, resources=Path(settings.hailo.resources)
    )


def hef(settings: Settings) -> Path:
    """The configured model for the NPU: a HEF, or the folder of an encoder and a decoder. Raises Failure."""
    return hefs(settings).find().path


def decide(settings: Settings, machine: Machine, denied: Mapping[str, str] = MappingProxyType({})) -> Decision:
    """The engine for these settings on such a machine. Looks for files of the model; nothing is loaded or started.

    `denied` is what keeps a kind from whom it is decided for, though the machine has it.
    """
    kind = settings.engine.kind
    if kind != "auto":
        return Decision(kind, f"engine.kind is set to {kind}.", {})
    lacks: dict[str, str] = {}
    for better in BEST_FIRST:
        found = denied.get(better) or lacking(better, settings, machine)
        if found is None:
            passed = "".join(f", and {why}" for why in lacks.values())
            return Decision(better, f"{NAMES[better]} transcribes: all that it needs is there{passed}", lacks)
        lacks[better] = found
    return Decision(CPU, f"the CPU transcribes: {'; '.join(lacks.values())}", lacks)


def lacking(kind: str, settings: Settings, machine: Machine) -> str | None:
    """What an engine of that kind needs and is not here, as a part of a sentence with the cure; None when all is."""
    if kind == "hailo":
        return _lacks_hailo(settings, machine)
    lacks = machine.lacks_cuda if kind == "cuda" else None
    return str(lacks) if lacks else None


def chosen(settings: Settings, root: Path = Path("/")) -> str:
    """The kind to use here, one of CLASSES; the log has the reason. With `auto` the machine is looked at: blocks, for seconds where a GPU is."""
    if settings.engine.kind != "auto":
        return settings.engine.kind
    decision = decide(settings, survey(root))
    log.info("%s", decision.reason)
    return decision.kind


def _lacks_hailo(settings: Settings, machine: Machine) -> str | None:
    if (lacks := hailo.lacking(machine.npu)) is not None:
        return str(lacks)
    try:
        hef(settings)
    except Failure as error:
        return f"there is a Hailo device, but {error}"
    return None

"""Checks of the models, and of the engine that they are for."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ...engines.warm_up import warm_up
from ...failure import Failure
from ...models import format as formats
from ...models.store import Store
from .. import assembly, engines, stock
from .finding import Finding, State, broken, ok, told, warning
from .patient import Patient


def models(patient: Patient) -> list[Finding]:
    """Whether the configured model is there and as it was verified, and those that are offered beside it."""
    settings = patient.settings
    try:
        store = stock.store(settings)
    except Failure as error:
        return [told("model", State.BROKEN, error)]
    kind = patient.decision.kind
    try:
        first = _npu_model(patient) if kind == "hailo" else _model(store, settings.model.name, settings.model.path)
    except Failure as error:
        stands = next(iter(_usable(store, settings.model.fallback)), None)
        # What this user may not see is not broken for that.
        unseen = isinstance(error.__cause__, PermissionError) and not patient.is_root
        first = told("model", State.WARNING if unseen else State.BROKEN, error)
        if stands and kind != "hailo":
            first = replace(first, state=State.WARNING, found=f"{first.found}; {stands} stands in for it (model.fallback)")
    findings = [first, *_stand_in(patient, kind)]
    for name in assembly.offered(settings):
        try:
            found = _model(store, name, None)
        except Failure as error:
            found = told("model", State.WARNING, error)
        findings.append(replace(found, check="model-offered"))
    return findings


def engine(patient: Patient) -> list[Finding]:
    """Which engine the service takes, and why."""
    decision, present = patient.decision, patient.machine.npu.present or patient.machine.gpu.present
    if patient.settings.engine.kind != "auto":
        lacks = engines.lacking(decision.kind, patient.settings, patient.machine)
        if lacks:
            cure = "Put it right, or set engine.kind to auto, which takes the CPU until then."
            return [broken("engine", f"{decision.reason} But {lacks}", cure)]
    shown = f"{decision.kind}: {decision.reason}"
    if decision.kind == engines.CPU and decision.lacking and present:
        return [warning("engine", shown, "There is an accelerator that could do it: put right what is missing.")]
    return [ok("engine", shown)]


def _stand_in(patient: Patient, kind: str) -> list[Finding]:
    """Whether the CPU has its form of the model, to take an accelerator's place with (engine.fallback)."""
    settings = patient.settings
    if settings.engine.fallback == "none" or kind == engines.CPU:
        return []
    decided = settings.model_copy(update={"engine": settings.engine.model_copy(update={"kind": kind})})
    clip = warm_up(settings.transcription.beam)
    try:
        with clip.waveform:
            own = assembly.launch(decided, None, clip)
        if own.stand_in is None:
            return []
        found = own.stand_in.prepare()
    except Failure as error:
        return [told("model-fallback", State.WARNING, error)]
    return [ok("model-fallback", f"{found.name} in {found.path}, for the CPU")]


def _model(store: Store, name: str, path: str | None) -> Finding:
    if path:
        folder = Path(path)
        formats.check_whisper(folder)
        store.check_folder(folder)
        return ok("model", f"{folder}, a folder of your own, whose sums nobody knows")
    store.check(name)
    shown = f"{name} in {store.folder(name)}"
    if store.is_as_verified(name):
        return ok("model", f"{shown}, as it was verified")
    if store.is_cached(name):
        return ok("model", f"{shown}, whose sums are compared when it is loaded")
    return warning(
        "model", f"{shown}, changed or copied since it was verified", f"`hailo-whisper models verify {name}` reads all of it."
    )


def _npu_model(patient: Patient) -> Finding:
    found = engines.hefs(patient.settings).find()
    return ok("model", f"{found.name}: {found.path}{', as it was verified' if found.sha256 else ', whose sum nobody knows'}")


def _usable(store: Store, names: list[str]) -> Iterator[str]:
    for name in names:
        try:
            store.check(name)
        except Failure:
            continue
        yield name

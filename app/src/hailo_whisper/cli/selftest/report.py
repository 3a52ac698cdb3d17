"""The report: Markdown to attach to an issue, or JSON. No names of machines, keys or serial numbers are in it."""

import datetime
import os
import platform

from ..doctor import program
from .ground import Subject
from .result import Outcome, Result

SCHEMA_VERSION = 1
LINE_ENDS = str.maketrans({"|": "\\|", "\n": " "})


def as_markdown(subject: Subject, results: list[Result]) -> str:
    """The report as people read it."""
    data = as_json(subject, results)
    title = f"# hailo-whisper selftest: {data['outcome']}{' (emulated)' if subject.emulated else ''}"
    lines = [title, "", f"{data['time']}, {'as root' if data['root'] else 'not as root'}.", ""]
    if subject.emulated:
        lines += ["**The device was emulated**: nothing here says anything about hardware.", ""]
    lines += [
        f"Engine: `{subject.decision.kind}`: {subject.decision.reason.rstrip('.')}.",
        *([subject.sharing] if subject.sharing else []),
        "",
    ]
    lines += _table(("trial", "outcome", "what happened"), [(result.trial, result.outcome, result.said) for result in results])
    measured = [(result.trial, name, str(value)) for result in results for name, value in result.figures.items()]
    lines += _table(
        ("trial", "figure", "value"),
        [(trial, name, f"{value}{' (emulated)' if subject.emulated else ''}") for trial, name, value in measured],
    )
    lines += _table(("of", "version"), [(name, version or "not installed") for name, version in _versions(subject).items()])
    return "\n".join(lines).rstrip()


def as_json(subject: Subject, results: list[Result]) -> dict[str, object]:
    """The report as programs read it: keys are added, and never change their meaning within a schema_version."""
    settings = subject.settings
    return {
        "schema_version": SCHEMA_VERSION,
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "outcome": Outcome.FAILED if any(result.outcome is Outcome.FAILED for result in results) else Outcome.PASSED,
        "emulated": subject.emulated,
        "root": os.geteuid() == 0,
        "engine": {"kind": subject.decision.kind, "reason": subject.decision.reason},
        "device": {"name": subject.identity.name, "trouble": subject.identity.trouble} | subject.identity.facts,
        "model": settings.model.name,
        "group": settings.hailo.group if subject.shared else None,
        "cpu": {
            "name": subject.cpu.name,
            "cores": subject.cpu.cores,
            "vectors": subject.cpu.vectors,
            "machine": platform.machine(),
        },
        "versions": _versions(subject),
        "trials": [
            {"trial": result.trial, "outcome": result.outcome, "said": result.said, "figures": result.figures}
            for result in results
        ],
    }


def _versions(subject: Subject) -> dict[str, str | None]:
    found = program.versions()
    found |= {"cpu": f"{subject.cpu.name}, {subject.cpu.cores} cores", "model": subject.settings.model.name}
    if subject.binding:
        found["hailort"] = f"{subject.binding.version}{' (emulated)' if subject.emulated else ''}"
    return found | {f"device {name}": fact for name, fact in subject.identity.facts.items()}


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    if not rows:
        return []
    marked = [[cell.translate(LINE_ENDS) for cell in row] for row in [head, ("---",) * len(head), *rows]]
    return [*(f"| {' | '.join(row)} |" for row in marked), ""]

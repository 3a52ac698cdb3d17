"""The report: a table for people, JSON for programs."""

import datetime
import os
import platform
import shutil
import textwrap
from typing import TextIO

from ... import __version__
from .examination import Examined
from .finding import Finding, State, worst

SCHEMA_VERSION = 1
COLOURS = {State.OK: "\033[32m", State.WARNING: "\033[33m", State.BROKEN: "\033[1;31m"}
PLAIN = "\033[0m"
NARROWEST = 60


def width(stream: TextIO) -> int | None:
    """Columns of the terminal; None where it is none, and nothing is to be wrapped."""
    return max(shutil.get_terminal_size().columns, NARROWEST) if stream.isatty() else None


def colourful(stream: TextIO) -> bool:
    """Whether colours are wanted: on a terminal, unless NO_COLOR is set (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


def as_table(findings: list[Finding], width: int | None, *, colour: bool = False) -> str:
    """A line a finding, its cure on the next; then how it is all in all."""
    wide = max((len(finding.check) for finding in findings), default=5)
    lines = [f"{'STATE':8} {'CHECK':{wide}} FOUND"]
    indent = " " * (9 + wide + 1)
    for finding in findings:
        state = f"{finding.state:8}"
        if colour:
            state = f"{COLOURS[finding.state]}{state}{PLAIN}"
        first, *rest = _wrapped(finding.found, width, indent)
        lines.append(f"{state} {finding.check:{wide}} {first}")
        lines += [indent + line for line in rest]
        if finding.cure:
            first, *rest = _wrapped(finding.cure, width, indent + "-> ")
            lines.append(f"{indent}-> {first}")
            lines += [f"{indent}   {line}" for line in rest]
    return "\n".join([*lines, "", summary(findings)])


def summary(findings: list[Finding]) -> str:
    """How it is all in all, in a sentence."""
    bad, doubtful = (sum(finding.state is state for finding in findings) for state in (State.BROKEN, State.WARNING))
    if not bad and not doubtful:
        return "All is well."
    return f"Broken: {bad}, warnings: {doubtful}."


def as_json(examined: Examined) -> dict[str, object]:
    """What programs rely on: keys are added, and never change their meaning within a schema_version."""
    findings, decision = examined.findings, examined.decision
    return {
        "schema_version": SCHEMA_VERSION,
        "version": __version__,
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "host": platform.node(),
        "state": worst(findings),
        "engine": {"kind": decision.kind, "reason": decision.reason, "lacking": dict(decision.lacking)},
        "findings": [
            {"check": finding.check, "state": finding.state, "found": finding.found, "cure": finding.cure} for finding in findings
        ],
    }


def _wrapped(text: str, width: int | None, indent: str) -> list[str]:
    text = " ".join(text.split())
    if width is None:
        return [text]
    return textwrap.wrap(text, max(width - len(indent), 20), break_long_words=False, break_on_hyphens=False) or [""]

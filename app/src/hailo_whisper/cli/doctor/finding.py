"""One line of the report."""

from dataclasses import dataclass
from enum import StrEnum

from ...failure import Failure


class State(StrEnum):
    """How it is; the order is that of getting worse."""

    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"


@dataclass(frozen=True)
class Finding:
    """What one check has found. `check` names it for good: scripts rely on it."""

    check: str
    state: State
    found: str
    """What is there, as a phrase."""
    cure: str | None = None
    """What to do, where there is something to do."""


def ok(check: str, found: str) -> Finding:
    """All is as it should be."""
    return Finding(check, State.OK, found)


def warning(check: str, found: str, cure: str) -> Finding:
    """It works, but not as well as it could, or it could not be seen."""
    return Finding(check, State.WARNING, found, cure)


def broken(check: str, found: str, cure: str) -> Finding:
    """It does not work."""
    return Finding(check, State.BROKEN, found, cure)


def told(check: str, state: State, error: Failure) -> Finding:
    """A failure: its first sentence says what is wrong, and the rest what to do."""
    found, _, cure = str(error).partition(". ")
    return Finding(check, state, found.rstrip("."), cure or None)


def worst(findings: list[Finding]) -> State:
    """The worst state among them."""
    order = list(State)
    return max((finding.state for finding in findings), key=order.index, default=State.OK)

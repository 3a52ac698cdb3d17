"""What came of a trial."""

from dataclasses import dataclass, field
from enum import StrEnum


class Outcome(StrEnum):
    """Whether it went as it must."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Result:
    """One trial. `figures` are what was measured, by names that end in their unit."""

    trial: str
    outcome: Outcome
    said: str
    """What happened, as a phrase."""
    figures: dict[str, float] = field(default_factory=dict)


def passed(trial: str, said: str, **figures: float) -> Result:
    """It went as it must."""
    return Result(trial, Outcome.PASSED, said, figures)


def failed(trial: str, said: str, **figures: float) -> Result:
    """It did not."""
    return Result(trial, Outcome.FAILED, said, figures)


def skipped(trial: str, said: str) -> Result:
    """It means nothing here."""
    return Result(trial, Outcome.SKIPPED, said)

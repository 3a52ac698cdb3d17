"""The goals of our own server, each against what was measured in the same run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .peers import OURS

# Scenario, target, figure: medians over the runs.
Summary = Mapping[str, Mapping[str, Mapping[str, float]]]

BASELINE, BATCHED, SPEACHES, WHISPER_CPP = "faster-whisper", "faster-whisper-batched", "speaches", "whisper.cpp"


@dataclass(frozen=True)
class Verdict:
    """A goal, what was reached, and the limit; None where the figures for it were not measured."""

    goal: str
    value: float | None
    limit: float | None
    at_least: bool = False
    digits: int = 2

    @property
    def reached(self) -> bool | None:
        """Whether it was; None: it cannot be said."""
        if self.value is None or self.limit is None:
            return None
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        """The verdict in words."""
        if self.reached is None or self.value is None or self.limit is None:
            return "not measured"
        if self.reached:
            return f"goal reached: {self.value:.{self.digits}f}"
        by = abs(self.value - self.limit)
        return f"**missed by {by:.{self.digits}f}**: {self.value:.{self.digits}f}"


def verdicts(summary: Summary) -> list[Verdict]:
    """Every goal, in the order of the scenarios."""

    def of(scenario: str, target: str, figure: str) -> float | None:
        return summary.get(scenario, {}).get(target, {}).get(figure)

    def ours(scenario: str, figure: str) -> float | None:
        return of(scenario, OURS, figure)

    def best(scenario: str, figure: str, choose: Callable[[list[float]], float]) -> float | None:
        found = [figures[figure] for name, figures in summary.get(scenario, {}).items() if name != OURS and figure in figures]
        return choose(found) if found else None

    short, file = ours("short", "p50"), ours("file", "seconds")
    return [
        Verdict("short commands: p50 at most 0.40 of faster-whisper's", _ratio(short, of("short", BASELINE, "p50")), 0.40),
        Verdict("short commands: p50 at most 0.28 of speaches'", _ratio(short, of("short", SPEACHES, "p50")), 0.28),
        Verdict(
            "short commands: word error rate at most 0.3 points above faster-whisper's",
            _difference(ours("short", "wer"), of("short", BASELINE, "wer")),
            0.3,
        ),
        Verdict(
            "8 clients: at least 4 times the requests per second of the best peer",
            _ratio(ours("clients", "requests_per_second"), best("clients", "requests_per_second", max)),
            4.0,
            at_least=True,
        ),
        Verdict("8 clients: no error", ours("clients", "errors"), 0.0, digits=0),
        Verdict("long file: at most 0.75 of speaches' seconds", _ratio(file, of("file", SPEACHES, "seconds")), 0.75),
        Verdict("long file: word error rate no worse than the best of all", ours("file", "wer"), best("file", "wer", min)),
        Verdict(
            "commands during the file: p95 at most 2.5 times its own when idle",
            _ratio(ours("during", "p95"), ours("short", "p95")),
            2.5,
        ),
        Verdict("commands during the file: no error", ours("during", "errors"), 0.0, digits=0),
        Verdict(
            "commands during the file: the file at most 1.3 times as long", _ratio(ours("during", "file_seconds"), file), 1.3
        ),
        Verdict(
            "cold start to first words: seconds at most whisper.cpp's",
            ours("cold", "words_seconds"),
            of("cold", WHISPER_CPP, "words_seconds"),
        ),
        Verdict("memory, peak: under 600 MB", _mega(ours("memory", "peak_bytes")), 600, digits=0),
        Verdict("memory, server without worker: under 120 MB", _mega(ours("memory", "server_bytes")), 120, digits=0),
        Verdict("memory, after unload: under 120 MB", _mega(ours("memory", "unloaded_bytes")), 120, digits=0),
        Verdict("HTTP overhead: p50 under 15 ms for a 5 s clip", ours("overhead", "server_ms"), 15.0, digits=1),
    ]


def _ratio(value: float | None, other: float | None) -> float | None:
    return value / other if value is not None and other else None


def _difference(value: float | None, other: float | None) -> float | None:
    return value - other if value is not None and other is not None else None


def _mega(value: float | None) -> float | None:
    return value / 1e6 if value is not None else None

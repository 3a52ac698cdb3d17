"""The figures of all runs: their medians, the tables for people, the JSON for everything else."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from .goals import Verdict, verdicts
from .peers import OURS
from .scenarios import Figures

# What a row of the table is called, and which figures it shows.
ROWS = {
    "short": "short commands, one at a time: p50 / p95",
    "clients": "8 clients at once",
    "file": "long file",
    "during": "commands during that file: p50 / p95",
    "cold": "cold start to first words",
    "memory": "memory, peak",
    "overhead": "HTTP overhead, p50 (to the client)",
}


@dataclass
class Report:
    """What was measured so far. Written down after every step, an interrupted bench keeps its figures."""

    machine: dict[str, Any]
    options: dict[str, Any]
    targets: list[str]
    runs: dict[str, dict[str, list[Figures]]] = field(default_factory=dict)
    failures: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, scenario: str, target: str, figures: Figures) -> None:
        """One run of a target."""
        self.runs.setdefault(scenario, {}).setdefault(target, []).append(figures)

    def fail(self, scenario: str, target: str, why: str) -> None:
        """A target could not be measured."""
        self.failures.setdefault(scenario, {})[target] = why

    def summary(self) -> dict[str, dict[str, dict[str, float]]]:
        """Medians over the runs; errors are added up. By scenario, target and figure."""
        return {
            scenario: {target: _medians(scenario, runs) for target, runs in targets.items()}
            for scenario, targets in self.runs.items()
        }

    def verdicts(self) -> list[Verdict]:
        """The goals."""
        return verdicts(self.summary())

    def write(self, path: Path) -> None:
        """Write everything as JSON."""
        goals = [
            {"goal": item.goal, "value": item.value, "limit": item.limit, "reached": item.reached} for item in self.verdicts()
        ]
        content = {
            "machine": self.machine,
            "options": self.options,
            "summary": self.summary(),
            "goals": goals,
            "failures": self.failures,
            "runs": self.runs,
        }
        part = path.with_name(f"{path.name}.part")
        part.write_text(json.dumps(content, indent=1, default=str) + "\n", encoding="utf-8")
        part.rename(path)

    def markdown(self) -> str:
        """The tables."""
        machine = self.machine
        vectors = f" ({', '.join(machine['vector_extensions'])})" if machine.get("vector_extensions") else ""
        summary = self.summary()
        rows = [
            [ROWS[name], *(self._cell(name, target, summary) for target in self.targets)]
            for name in ROWS
            if name in self.runs or name in self.failures
        ]
        lines = [
            f"{machine['cpu']}{vectors}, {machine['cores']} cores, {machine['memory_gb']} GB, Linux {machine['kernel']}, "
            f"{machine['system']}; commit {machine['commit']}; load before: {machine['load_before']}.",
            f"Model {self.options['model']}, {self.options['threads']} threads, language {self.options['language']}; "
            f"medians of {self.options['runs']} run(s).",
            *(
                ["**A quick run, with two clips: it shows that everything works, and no figure to rely on.**"]
                if self.options.get("quick")
                else []
            ),
            "",
            *_table(["scenario", *self.targets], rows),
        ]
        if OURS in self.targets:
            goals = [[item.goal, str(item)] for item in self.verdicts() if item.value is not None]
            lines += ["", *_table([f"goal for {OURS}", "result"], goals)] if goals else []
        for scenario, failed in self.failures.items():
            lines += ["", *(f"{target} has no figures for `{scenario}`: {why}" for target, why in failed.items())]
        return "\n".join(lines)

    def _cell(self, scenario: str, target: str, summary: dict[str, dict[str, dict[str, float]]]) -> str:
        figures = summary.get(scenario, {}).get(target)
        if figures is None:
            return "failed" if target in self.failures.get(scenario, {}) else "-"
        text = _words(scenario, figures, summary.get("file", {}).get(target, {}).get("seconds"))
        return text + (f", **{figures['errors']:.0f} errors**" if figures.get("errors") else "")


def _words(scenario: str, figures: dict[str, float], alone: float | None) -> str:
    """What a cell says; `alone` are the seconds of the file with nothing beside it."""

    def get(name: str) -> float:
        return figures.get(name, float("nan"))

    match scenario:
        case "short":
            return f"{get('p50'):.2f} / {get('p95'):.2f} s, WER {get('wer'):.1f}"
        case "clients":
            return f"{get('requests_per_second'):.2f} req/s, p50 {get('p50'):.2f} s, WER {get('wer'):.1f}"
        case "file":
            return f"{get('seconds'):.1f} s, WER {get('wer'):.1f}"
        case "during":
            slower = f", {get('file_seconds') / alone:.2f} times as long" if alone else ""
            return f"{get('p50'):.2f} / {get('p95'):.2f} s; file {get('file_seconds'):.1f} s{slower}"
        case "cold":
            answers = f", answers after {get('answers_seconds'):.2f} s" if "answers_seconds" in figures else ""
            return f"{get('words_seconds'):.2f} s{answers}"
        case "memory":
            more = f"; server {get('server_bytes') / 1e6:.0f} MB" if "server_bytes" in figures else ""
            more += f"; unloaded {get('unloaded_bytes') / 1e6:.0f} MB" if "unloaded_bytes" in figures else ""
            return f"{get('peak_bytes') / 1e6:.0f} MB{more}"
        case _:
            return f"{get('server_ms'):.1f} ms ({get('client_ms'):.1f} ms)"


def _medians(scenario: str, runs: Sequence[Figures]) -> dict[str, float]:
    names = {
        name for run in runs for name, value in run.items() if isinstance(value, int | float) and not isinstance(value, bool)
    }
    found: dict[str, float] = {}
    for name in sorted(names):
        values = [run[name] for run in runs if isinstance(run.get(name), int | float)]
        found[name] = float(sum(values) if name == "errors" else median(values))
    if scenario == "during":
        # A quick server sees few commands while it has the file: of so few, only all runs together have a 95th percentile.
        pooled = [seconds for run in runs for seconds in run["latencies"]]
        found["p50"], found["p95"] = (float(value) for value in np.percentile(pooled, [50, 95]))
        found["commands"] = len(pooled)
    return found


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [head, *rows]]
    ruler = " | ".join("-" * width for width in widths)
    return [f"| {line} |" for line in (lines[0], ruler, *lines[1:])]

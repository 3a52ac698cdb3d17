import json
from pathlib import Path
from typing import Any

from bench.goals import Verdict, verdicts
from bench.peers import OURS
from bench.report import Report

MACHINE: dict[str, Any] = {
    "cpu": "Abacus 3000",
    "cores": 2,
    "memory_gb": 4.0,
    "kernel": "6.1",
    "system": "Debian",
    "commit": "abc",
    "load_before": 0.1,
    "vector_extensions": ["avx2"],
}
OPTIONS: dict[str, Any] = {"model": "base", "threads": 2, "language": "en", "runs": 3}


def short(p50: float, p95: float, wer: float, errors: int = 0) -> dict[str, Any]:
    return {"p50": p50, "p95": p95, "wer": wer, "errors": errors, "latencies": [p50, p95]}


def report() -> Report:
    made = Report(MACHINE, OPTIONS, ["faster-whisper", OURS])
    for p50 in (1.0, 9.0, 1.2):
        made.add("short", "faster-whisper", short(p50, 2 * p50, 5.0))
        made.add("short", OURS, short(p50 / 4, p50 / 2, 5.2, errors=1))
    return made


def test_medians_are_taken_over_runs_and_errors_added() -> None:
    summary = report().summary()["short"]
    assert summary["faster-whisper"]["p50"] == 1.2
    assert (summary[OURS]["p50"], summary[OURS]["errors"]) == (0.3, 3)


def test_commands_during_a_file_are_pooled() -> None:
    made = report()
    for latencies in ([1.0, 1.0], [1.0], [5.0]):
        made.add("during", OURS, {"p50": 0.0, "p95": 0.0, "latencies": latencies, "file_seconds": 10.0, "errors": 0})
    figures = made.summary()["during"][OURS]
    assert (figures["p50"], figures["commands"]) == (1.0, 4)
    assert figures["p95"] > 4


def test_table() -> None:
    made = report()
    made.fail("memory", OURS, "it is gone")
    text = made.markdown()
    lines = text.splitlines()
    assert "Abacus 3000 (avx2), 2 cores" in lines[0]
    assert "| short commands, one at a time: p50 / p95 | 1.20 / 2.40 s, WER 5.0 | 0.30 / 0.60 s, WER 5.2, **3 errors** |" in lines
    assert any(line.startswith("| memory, peak") and line.rstrip(" |").endswith("failed") for line in lines)
    assert f"{OURS} has no figures for `memory`: it is gone" in lines
    assert any("at most 0.40 of faster-whisper's" in line and "goal reached: 0.25" in line for line in lines)


def test_json(tmp_path: Path) -> None:
    report().write(tmp_path / "out.json")
    content = json.loads((tmp_path / "out.json").read_text())
    assert len(content["runs"]["short"][OURS]) == 3
    assert content["machine"] == MACHINE
    assert {"goal", "value", "limit", "reached"} == set(content["goals"][0])
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]


def test_verdicts_in_words() -> None:
    assert str(Verdict("x", 0.5, 0.4)) == "**missed by 0.10**: 0.50"
    assert str(Verdict("x", 0.4, 0.4)) == "goal reached: 0.40"
    assert str(Verdict("x", 3.0, 4.0, at_least=True)) == "**missed by 1.00**: 3.00"
    assert str(Verdict("x", 5.0, 4.0, at_least=True)) == "goal reached: 5.00"
    assert str(Verdict("x", None, 4.0)) == "not measured"


def test_goals_compare_with_the_peers_of_the_same_run() -> None:
    summary = {
        "clients": {
            "slow": {"requests_per_second": 1.0},
            "quick": {"requests_per_second": 2.0},
            OURS: {"requests_per_second": 8.0},
        },
        "file": {"slow": {"wer": 4.0}, "speaches": {"wer": 6.0, "seconds": 20.0}, OURS: {"wer": 4.5, "seconds": 10.0}},
        "during": {OURS: {"file_seconds": 14.0}},
    }
    found = {item.goal: item for item in verdicts(summary)}
    assert found["8 clients: at least 4 times the requests per second of the best peer"].value == 4
    assert found["long file: word error rate no worse than the best of all"].reached is False
    assert found["long file: at most 0.75 of speaches' seconds"].value == 0.5
    assert found["commands during the file: the file at most 1.3 times as long"].value == 1.4
    assert found["cold start to first words: seconds at most whisper.cpp's"].reached is None

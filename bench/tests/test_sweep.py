import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from bench.peers import PROJECT
from bench.sweep import Measured, Point, table


def test_a_sweep_with_the_scripted_engine(corpus: Path, models: Path, tmp_path: Path, python_path: Callable[..., None]) -> None:
    python_path(PROJECT / "app/tests/support")
    out = tmp_path / "out.json"
    command = [sys.executable, "-m", "bench.sweep", "--corpus", str(corpus), "--models", str(models), "--out", str(out)]
    command += [
        "--engine",
        "scripted_engine:ScriptedEngine",
        "--languages",
        "en",
        "--longest",
        "30",
        "--margin",
        "1,30",
        "--least",
        "5,10",
    ]
    done = subprocess.run(
        command, cwd=PROJECT, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    points = json.loads(out.read_text())
    # With the full context, what the least is makes no difference.
    assert [(point["margin"], point["least"]) for point in points] == [(1, 5), (1, 10), (30, 30)]
    assert all(item["errors"] == 0 and item["windows"] > 0 for point in points for item in point["measured"])
    assert len(done.stdout.splitlines()) == 2 + 3


def test_table() -> None:
    measured = {
        Point(30, 5, 10): [
            Measured("en", "short", 1, 100, 4, 40, 0.25, 9, 1),
            Measured("es", "short", 2, 100, 4, 40, 0.35, 9, 2),
            Measured("en", "long", 5, 100, 10, 200, 10, 9, 0),
        ],
        Point(30, 30, 30): [],
    }
    lines = table(measured, ["short", "long"], ["en", "es"]).splitlines()
    assert lines[2] == "| 30 | 5 | 10 | 1.00 | 2.00 | 0.300 | 3 | 5.00 |  | 20.0 | 0 |"
    assert lines[3].startswith("| 30 | full | full |")
    assert {line.count("|") for line in lines} == {lines[0].count("|")}

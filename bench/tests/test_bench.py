"""The harness itself, with engines that always hear the same. Nothing here says how fast anything is to be."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from bench.peers import OURS, PROJECT

SCRIPTED = ["--engine", "scripted_engine:ScriptedEngine"]
FASTER_WHISPER = """
class Segment:
    text = " unless to be rather cold hearted"


class WhisperModel:
    def __init__(self, path, **options):
        assert options["compute_type"] == "int8"

    def transcribe(self, path, language, beam_size, batch_size=None):
        if "broken" in path:
            raise ValueError("no sound")
        return iter([Segment(), Segment()]), None


class BatchedInferencePipeline:
    def __init__(self, model):
        self.transcribe = lambda *args, batch_size, **more: model.transcribe(*args, **more)
"""


def bench(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "bench", *map(str, arguments)]
    return subprocess.run(
        command, cwd=PROJECT, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, timeout=240
    )


def descendants_of_the_bench(folder: Path) -> Sequence[str]:
    """Programs that were started with something in the test's own folder, and are still there."""
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = line.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in text and "pytest" not in text:
            found.append(text)
    return found


def test_quick_run_of_everything_but_wyoming(
    corpus: Path, models: Path, tmp_path: Path, python_path: Callable[..., None]
) -> None:
    (tmp_path / "faster_whisper.py").write_text(FASTER_WHISPER)
    python_path(PROJECT / "app/tests/support")
    out = tmp_path / "out.json"
    common = ["--quick", "--corpus", corpus, "--models", models, "--out", out]
    done = bench(*common, *SCRIPTED, "--targets", OURS)
    assert done.returncode == 0, done.stderr
    content = json.loads(out.read_text())
    assert content["failures"] == {}
    summary = {scenario: targets[OURS] for scenario, targets in content["summary"].items()}
    assert set(summary) == {"cold", "memory", "short", "clients", "overhead", "file", "during"}
    assert all(figures.get("errors", 0) == 0 and figures.get("wer", 0) == 0 for figures in summary.values()), summary
    assert summary["memory"]["peak_bytes"] > summary["memory"]["server_bytes"] > 0
    assert summary["memory"]["unloaded_bytes"] > 0
    assert content["machine"]["commit"] != "unknown"
    assert "| short commands, one at a time: p50 / p95 |" in done.stdout
    assert "goal reached" in done.stdout
    assert descendants_of_the_bench(models) == []


def test_library_in_process(corpus: Path, models: Path, tmp_path: Path, python_path: Callable[..., None]) -> None:
    (tmp_path / "faster_whisper.py").write_text(FASTER_WHISPER)
    python_path(tmp_path)
    out = tmp_path / "out.json"
    targets = ["--targets", "faster-whisper,faster-whisper-batched"]
    done = bench("--runs", 1, "--corpus", corpus, "--models", models, "--out", out, *targets, "--only", "short,cold,file")
    assert done.returncode == 0, done.stderr
    content = json.loads(out.read_text())
    for name in ("faster-whisper", "faster-whisper-batched"):
        # Seven words of 13 are heard, and then five more that are wrong.
        assert content["summary"]["short"][name]["words"] == 3 * 14
        assert content["summary"]["short"][name]["wer"] > 0
        assert content["summary"]["cold"][name]["words_seconds"] > 0
    assert "answers_seconds" not in content["summary"]["cold"]["faster-whisper"]


def test_target_that_cannot_start_costs_only_itself(
    corpus: Path, models: Path, tmp_path: Path, python_path: Callable[..., None]
) -> None:
    python_path(PROJECT / "app/tests/support")
    out = tmp_path / "out.json"
    given = ["--url", "broken=http://127.0.0.1:9", "--command", f"broken={sys.executable} -c 'raise SystemExit(7)'"]
    done = bench(
        "--quick",
        "--corpus",
        corpus,
        "--models",
        models,
        "--out",
        out,
        *SCRIPTED,
        "--targets",
        OURS,
        *given,
        "--only",
        "short,cold",
    )
    assert done.returncode == 1
    content = json.loads(out.read_text())
    assert "status 7" in content["failures"]["cold"]["broken"]
    assert "status 7" in content["failures"]["start"]["broken"]
    assert set(content["summary"]["short"]) == {OURS}
    assert "broken has no figures for `cold`" in done.stdout


def test_interrupt_keeps_what_was_measured(corpus: Path, models: Path, tmp_path: Path, python_path: Callable[..., None]) -> None:
    python_path(PROJECT / "app/tests/support")
    out = tmp_path / "out.json"
    command = [
        sys.executable,
        "-m",
        "bench",
        "--runs",
        "1000",
        "--corpus",
        str(corpus),
        "--models",
        str(models),
        "--out",
        str(out),
    ]
    command += [*SCRIPTED, "--targets", OURS, "--only", "short"]
    process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        end = time.monotonic() + 60
        while not out.exists() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGINT)
        stdout, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "| short commands, one at a time: p50 / p95 |" in stdout
    assert json.loads(out.read_text())["summary"]["short"][OURS]["words"] > 0
    assert descendants_of_the_bench(models) == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--targets", "nonsense"], "nonsense is not one of"),
        (["--only", "nonsense"], "nonsense is not one of"),
        (["--url", "nonsense"], "has no NAME= before it"),
        (["--url", "x=nonsense"], "begins with http"),
    ],
)
def test_nonsense_is_refused(arguments: list[str], sentence: str) -> None:
    done = bench(*arguments)
    assert done.returncode == 2
    assert sentence in done.stderr


def test_what_is_missing_is_named(corpus: Path, models: Path, tmp_path: Path) -> None:
    done = bench("--corpus", tmp_path, "--models", models)
    assert (done.returncode, "holds no corpus" in done.stderr) == (1, True)
    done = bench("--corpus", corpus, "--models", tmp_path)
    assert (done.returncode, "--models" in done.stderr) == (1, True)
    done = bench("--corpus", corpus, "--models", models, "--language", "fr")
    assert (done.returncode, "no clips in fr" in done.stderr) == (1, True)
    done = bench("--corpus", corpus, "--models", models, "--command", "x=true")
    assert (done.returncode, "has no --url x=" in done.stderr) == (1, True)

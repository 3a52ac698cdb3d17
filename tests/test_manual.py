"""The manual pages and the completion are those of the program as it is, and a shell and a page viewer take them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PAGES = ["man/hailo-whisper.1", "man/hailo-whisper.yaml.5"]


@pytest.mark.parametrize("name", [*PAGES, "completion/hailo-whisper"])
def test_they_are_up_to_date(project: Path, tmp_path: Path, name: str) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "manual", str(tmp_path)],
        env=os.environ | {"PYTHONPATH": f"{project}/packaging:{project}/app/src"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    assert (tmp_path / name).read_text(encoding="utf-8") == (project / "packaging" / name).read_text(encoding="utf-8"), (
        "run script/generate"
    )


@pytest.mark.parametrize(
    ("line", "offered", "missing"),
    [
        ("hailo-whisper ", {"serve", "models", "--version"}, {"pull"}),
        ("hailo-whisper mo", {"models"}, {"serve"}),
        ("hailo-whisper models ", {"pull", "list"}, {"serve"}),
        ("hailo-whisper models pull --so", {"--source"}, {"--force"}),
        ("hailo-whisper models pull base --fo", {"--force"}, {"--source"}),
        ("hailo-whisper transcribe --format ", {"srt", "vtt"}, {"--format"}),
        ("hailo-whisper transcribe a", {"a.wav"}, {"b.wav"}),
    ],
)
def test_completion(project: Path, tmp_path: Path, line: str, offered: set[str], missing: set[str]) -> None:
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).touch()
    words = line.split(" ")
    quoted = " ".join(f"'{word}'" for word in words)
    program = f". {project}/packaging/completion/hailo-whisper; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _hailo_whisper; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    done = subprocess.run(["bash", "-euc", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = set(done.stdout.split())
    assert offered <= found
    assert not missing & found

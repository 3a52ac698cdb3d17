"""The scripts refuse what they do not understand, and say what they take."""

import json
import subprocess
import zipfile
from pathlib import Path

import pytest


def run(project: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(project / command[0]), *command[1:]], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )


@pytest.mark.parametrize(
    "script",
    [
        "bootstrap",
        "demo",
        "test",
        "host",
        "lint",
        "wheels",
        "bench",
        "build-deb",
        "build-image",
        "vulnerabilities",
        "bundle",
        "build-repo",
    ],
)
def test_help(project: Path, script: str) -> None:
    done = run(project, f"script/{script}", "--help")
    assert done.returncode == 0, done.stderr
    assert f"script/{script}" in done.stdout or "usage: wheels" in done.stdout


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("bootstrap", "takes no argument"),
        ("demo", "does not know nonsense"),
        ("test", "has no part nonsense"),
        ("host", "Usage:"),
        ("build-deb", "does not know nonsense"),
        ("build-image", "does not know nonsense"),
        ("bundle", "does not know nonsense"),
        ("build-repo", "does not know nonsense"),
    ],
)
def test_nonsense_is_refused(project: Path, script: str, sentence: str) -> None:
    done = run(project, f"script/{script}", "nonsense")
    assert done.returncode == 2
    assert sentence in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["--suite", "buster"], 1, "no build for the Debian release buster"),
        (["--arch", "riscv64"], 1, "no build for the architecture riscv64"),
        (["--suite"], 2, "--suite needs a value"),
        (["--model"], 2, "--model needs a value"),
        (["--model", "basse"], 1, "the model basse is not to be had"),
        (["--as", "next"], 1, "next is no version of this program"),
    ],
)
def test_a_package_for_another_system_is_refused(project: Path, arguments: list[str], status: int, sentence: str) -> None:
    done = run(project, "script/build-deb", *arguments)
    assert done.returncode == status
    assert sentence in done.stderr


def test_the_wheel_is_found_again_and_has_everything(project: Path) -> None:
    first, second = (json.loads(run(project, "script/wheels", "app").stdout) for _ in range(2))
    assert first == second
    names = set(zipfile.ZipFile(first["wheel"]).namelist())
    source = project / "app/src"
    expected = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert expected <= names


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["--suite", "buster"], 1, "no bundle for the Debian release buster. There are: bookworm trixie."),
        (["--arch", "riscv64"], 1, "no bundle for the architecture riscv64. There are: amd64 arm64."),
        (["--model", "base-en"], 1, "Did you mean base.en?"),
        (["--output"], 2, "--output needs a value"),
    ],
)
def test_a_bundle_that_cannot_be_is_refused_at_once(project: Path, arguments: list[str], status: int, sentence: str) -> None:
    done = run(project, "script/bundle", *arguments)
    assert done.returncode == status
    assert sentence in done.stderr

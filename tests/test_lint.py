"""Every linter and type checker, as a test each, so that one closing line covers them too."""

import subprocess
from pathlib import Path

import pytest


def shell_scripts(project: Path) -> list[str]:
    """The files under version control whose first line names a shell."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=project, capture_output=True, text=True, check=True
    )
    files = [name for name in listed.stdout.splitlines() if (project / name).is_file()]
    return [
        name for name in files if (project / name).read_bytes().startswith((b"#!/usr/bin/env bash", b"#!/bin/bash", b"#!/bin/sh"))
    ]


UNTYPED = ["--disable-error-code=import-untyped"]
LINTERS = {
    "ruff-check": ["ruff", "check", "."],
    "ruff-format": ["ruff", "format", "--check", "."],
    "mypy-app": ["mypy", "--config-file", "pyproject.toml"],
    "mypy-house": [
        "env",
        "MYPYPATH=app/tests/support:tests/support:app/src:packaging:plugins/filter",
        "mypy",
        "--strict",
        "--config-file=",
        "--follow-imports=silent",
        *UNTYPED,
        "--scripts-are-modules",
        "script/wheels",
        "packaging/bundle/deploy",
        "plugins",
        "tests",
    ],
    "mypy-packaging": [
        "env",
        "MYPYPATH=../app/src",
        "mypy",
        "--strict",
        "--config-file=",
        "--follow-imports=silent",
        *UNTYPED,
        ".",
    ],
    "mypy-bench": ["env", "MYPYPATH=app/src", "mypy", "--strict", "--config-file=", "--follow-imports=silent", *UNTYPED, "bench"],
    "mypy-molecule": ["mypy", "--strict", "--config-file=", *UNTYPED, "."],
    "mypy-molecule-hailo": ["env", "MYPYPATH=../../default/tests", "mypy", "--strict", "--config-file=", *UNTYPED, "."],
    "mypy-molecule-deb": ["env", "MYPYPATH=../../default/tests", "mypy", "--strict", "--config-file=", *UNTYPED, "."],
    "mypy-molecule-airgap": ["env", "MYPYPATH=../../default/tests", "mypy", "--strict", "--config-file=", *UNTYPED, "."],
    "mypy-molecule-upgrade": ["env", "MYPYPATH=../../default/tests", "mypy", "--strict", "--config-file=", *UNTYPED, "."],
    "mypy-molecule-fleet": ["env", "MYPYPATH=../../default/tests", "mypy", "--strict", "--config-file=", *UNTYPED, "."],
    "mypy-molecule-rollout": ["env", "MYPYPATH=../../default/tests", "mypy", "--strict", "--config-file=", *UNTYPED, "."],
    "mypy-molecule-chaos": [
        "env",
        "MYPYPATH=../../default/tests:../../upgrade/tests",
        "mypy",
        "--strict",
        "--config-file=",
        *UNTYPED,
        ".",
    ],
    "yamllint": ["yamllint", "--strict", "."],
    "ansible-lint": ["ansible-lint", "--offline"],
    "shellcheck": ["shellcheck", "--external-sources", "--source-path=."],
}
# Where a linter works, if that is not the top: it finds the modules that the files import beside them.
FOLDERS = {
    "mypy-app": "app",
    "mypy-packaging": "packaging",
    "mypy-molecule": "molecule/default/tests",
    "mypy-molecule-hailo": "molecule/hailo/tests",
    "mypy-molecule-deb": "molecule/deb/tests",
    "mypy-molecule-airgap": "molecule/airgap/tests",
    "mypy-molecule-upgrade": "molecule/upgrade/tests",
    "mypy-molecule-fleet": "molecule/fleet/tests",
    "mypy-molecule-rollout": "molecule/rollout/tests",
    "mypy-molecule-chaos": "molecule/chaos/tests",
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", LINTERS)
def test_is_clean(name: str, project: Path) -> None:
    command = LINTERS[name] + (shell_scripts(project) if name == "shellcheck" else [])
    folder = project / FOLDERS.get(name, ".")
    done = subprocess.run(
        command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False
    )
    assert done.returncode == 0, f"`{' '.join(command)}` says:\n{done.stdout[-8000:]}"

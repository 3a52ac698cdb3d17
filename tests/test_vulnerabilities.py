"""script/vulnerabilities says what is known of an image, and never takes a question that nobody answered for an answer.

The image is a folder; pip-audit is played, as a database of advisories is not to be had everywhere; apt is Debian's own, and its archive a folder.
"""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

STATUS = """Package: dpkg
Status: install ok installed
Architecture: amd64
Version: 1.21.22
Maintainer: somebody <somebody@example.org>
Description: packages

Package: libssl3
Status: install ok installed
Architecture: amd64
Version: 3.0.1-1
Maintainer: somebody <somebody@example.org>
Description: secrets

"""
BILL = {
    "components": [
        {"name": "Jinja2", "version": "3.1.2", "purl": "pkg:pypi/jinja2@3.1.2"},
        {"name": "libx264", "version": "164", "purl": "pkg:generic/libx264@164"},
    ]
}
SAFE = {"name": "jinja2", "version": "3.1.2", "vulns": []}
UNSAFE = {"name": "jinja2", "version": "3.1.2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3.1.6"], "aliases": []}]}
UNKNOWN = {"name": "jinja2", "skip_reason": "Dependency not found on PyPI and could not be audited: jinja2 (3.1.2)"}


@dataclass(frozen=True)
class World:
    """An image, programs, and an archive."""

    project: Path
    root: Path

    def write(self, name: str, text: str, mode: int = 0o644) -> Path:
        """A file with its folders."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def answers(self, *dependencies: dict[str, Any]) -> None:
        """What pip-audit finds; nothing: it reaches nobody, as its real one says that."""
        told = json.dumps({"dependencies": dependencies, "fixes": []})
        end = f"cat <<'TOLD'\n{told}\nTOLD\n" if dependencies else "echo 'ERROR:pip_audit._cli:Connection refused' >&2\nexit 1\n"
        # What it was asked for is kept.
        self.write("bin/pip-audit", f'#!/bin/sh\ncp "$2" "{self.root}/asked"\n{end}', 0o755)

    def mended(self, version: str) -> str:
        """An archive with that version of libssl3: the line of sources.list."""
        self.write(
            "archive/dists/bookworm-security/main/binary-amd64/Packages",
            f"Package: libssl3\nVersion: {version}\nArchitecture: amd64\nFilename: x.deb\nSize: 1\nSHA256: {'0' * 64}\nDescription: secrets\n",
        )
        return f"deb [trusted=yes] file:{self.root}/archive bookworm-security main"

    def look(self, security: str, *more: str) -> "subprocess.CompletedProcess[str]":
        """Run it, with the played programs first."""
        command = [
            self.project / "script/vulnerabilities",
            "an-image",
            "--with",
            self.root / "bin/podman",
            "--security",
            security,
            *more,
        ]
        return subprocess.run(
            list(map(str, command)),
            env=os.environ | {"PATH": f"{self.root}/bin:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
            timeout=120,
        )


@pytest.fixture
def world(project: Path, tmp_path: Path) -> World:
    world = World(project, tmp_path)
    for name, text in (
        ("opt/hailo-whisper/sbom.cdx.json", json.dumps(BILL)),
        ("var/lib/dpkg/status", STATUS),
        ("etc/os-release", "VERSION_CODENAME=bookworm\n"),
    ):
        world.write(f"image/{name}", text)
    world.write("bin/podman", f'#!/bin/sh\nfor last; do :; done\nexec cat "{tmp_path}/image$last"\n', 0o755)
    world.answers(SAFE)
    return world


def test_nothing_is_known(world: World) -> None:
    done = world.look(world.mended("3.0.1-1"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "Wheels (1):",
        "  nothing is known.",
        "Debian bookworm (2):",
        "  nothing is mended that is not mended in it.",
    ]
    assert (world.root / "asked").read_text() == "Jinja2==3.1.2\n", "and what no index knows is not asked for"


def test_what_is_known_is_listed(world: World) -> None:
    world.answers(UNSAFE)
    done = world.look(world.mended("3.0.1-1+deb12u1"))
    assert done.returncode == 1
    assert "  jinja2 3.1.2: PYSEC-1, mended in 3.1.6\n" in done.stdout
    assert "  libssl3 3.0.1-1: mended in 3.0.1-1+deb12u1\n" in done.stdout


def test_an_index_that_does_not_answer_is_told(world: World) -> None:
    world.answers()
    done = world.look(world.mended("3.0.1-1"))
    assert done.returncode == 3
    assert "  not asked: pip-audit got no answer: ERROR:pip_audit._cli:Connection refused\n" in done.stdout
    assert "nothing is known" not in done.stdout


def test_an_index_that_knows_nothing_of_it_has_not_answered(world: World) -> None:
    """pip-audit passes over it, and ends with status 0."""
    world.answers(UNKNOWN)
    done = world.look(world.mended("3.0.1-1"))
    assert done.returncode == 3
    assert "  not asked, 1 of them: Dependency not found on PyPI" in done.stdout
    assert "nothing is known" not in done.stdout


def test_what_is_found_counts_more_than_what_was_not_asked(world: World) -> None:
    world.answers(UNSAFE, UNKNOWN)
    done = world.look(world.mended("3.0.1-1"))
    assert done.returncode == 1
    assert "PYSEC-1" in done.stdout
    assert "not asked, 1 of them" in done.stdout


def test_an_archive_that_is_not_there_is_told(world: World) -> None:
    done = world.look(f"deb [trusted=yes] file:{world.root}/nothing bookworm-security main")
    assert done.returncode == 3
    assert "  not asked: E: " in done.stdout
    assert "nothing is mended" not in done.stdout


def test_an_image_without_a_bill_is_refused(world: World) -> None:
    (world.root / "image/opt/hailo-whisper/sbom.cdx.json").unlink()
    done = world.look("")
    assert done.returncode == 2, "an empty line is no value"
    done = world.look("deb file:/nothing x main")
    assert done.returncode == 2
    assert "an-image has no SBOM, or cannot be run: " in done.stderr


@pytest.mark.parametrize(("arguments", "said"), [((), "Usage:"), (("--nonsense",), "does not know --nonsense")])
def test_nonsense_is_refused(project: Path, arguments: tuple[str, ...], said: str) -> None:
    done = subprocess.run([project / "script/vulnerabilities", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert said in done.stderr

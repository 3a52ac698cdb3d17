"""What tells of the contents of the Debian package: it knows each licence, or says whose it does not."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """An environment with one project."""
    folder = tmp_path / "site"
    metadata = folder / "one-1.0.dist-info"
    (metadata / "licenses").mkdir(parents=True)
    (folder / "one").mkdir()
    (folder / "one/__init__.py").touch()
    (metadata / "licenses/LICENSE").write_text("Copyright (c) 2020 Somebody\n\nDo what you like.\n")
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.4\nName: One\nVersion: 1.0\nLicense-Expression: BSD-2-Clause\nProject-URL: Source, https://one.example\n"
    )
    (metadata / "RECORD").write_text(
        "one/__init__.py,,\none-1.0.dist-info/METADATA,,\none-1.0.dist-info/licenses/LICENSE,,\n../../../bin/one,,\n"
    )
    return folder


def run(project: Path, site: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "contents", str(site), *command],
        env={"PYTHONPATH": str(project / "packaging"), "PATH": "/usr/bin", "SOURCE_DATE_EPOCH": "0"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_copyright(project: Path, site: Path, tmp_path: Path) -> None:
    (tmp_path / "head").write_text("Format: 1.0\n")
    done = run(project, site, "copyright", "--head", str(tmp_path / "head"))
    assert done.returncode == 0, done.stderr
    head, paragraph = done.stdout.split("\n\n", 1)
    assert head == "Format: 1.0"
    assert "Files: opt/hailo-whisper/venv/lib/python*/site-packages/one/*\n" in paragraph
    assert "Copyright: 2020 Somebody\nLicense: BSD-2-Clause\n Copyright (c) 2020 Somebody\n .\n Do what you like.\n" in paragraph
    assert paragraph.endswith("Comment: one 1.0, https://one.example\n")


def test_sbom_is_the_same_every_time(project: Path, site: Path) -> None:
    first, second = (run(project, site, "sbom", "--version", "1", "--arch", "amd64").stdout for _ in range(2))
    assert first == second
    bill = json.loads(first)
    assert bill["components"][0]["purl"] == "pkg:pypi/one@1.0"
    assert bill["components"][0]["licenses"] == [{"license": {"id": "BSD-2-Clause"}}]
    assert bill["metadata"]["timestamp"] == "1970-01-01T00:00:00+00:00"


def test_wheels_in_another_folder_are_in_it_too(project: Path, site: Path, tmp_path: Path) -> None:
    """NVIDIA's, in the image: one names its licence as SPDX would have it, the other in its own words."""
    for name, licence in (("cublas", "License-Expression"), ("cuda_nvrtc", "License")):
        metadata = tmp_path / f"cuda/nvidia_{name}_cu12-12.9.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text(
            f"Name: nvidia-{name.replace('_', '-')}-cu12\nVersion: 12.9\n{licence}: LicenseRef-NVIDIA-Proprietary\n"
        )
        (metadata / "RECORD").write_text(f"{metadata.name}/METADATA,,\n")
    done = run(project, site, str(tmp_path / "cuda"), "sbom", "--version", "1", "--arch", "amd64")
    assert done.returncode == 0, done.stderr
    found = {each["name"]: each["licenses"] for each in json.loads(done.stdout)["components"]}
    theirs = [{"expression": "LicenseRef-NVIDIA-Proprietary"}]
    assert found == {
        "one": [{"license": {"id": "BSD-2-Clause"}}],
        "nvidia-cublas-cu12": theirs,
        "nvidia-cuda-nvrtc-cu12": theirs,
    }


def test_a_whole_gpl_is_named_and_not_copied(project: Path, site: Path, tmp_path: Path) -> None:
    (tmp_path / "head").touch()
    text = "GNU GENERAL PUBLIC LICENSE\n  Version 3, 29 June 2007\n\nMany words.\n\nEND OF TERMS AND CONDITIONS\n\nAnd more.\n"
    (site / "one-1.0.dist-info/licenses/LICENSE").write_text(text)
    done = run(project, site, "copyright", "--head", str(tmp_path / "head"))
    assert "/usr/share/common-licenses/GPL-3" in done.stdout
    assert "And more." in done.stdout
    assert "Many words." not in done.stdout


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (
            lambda site: (site / "one-1.0.dist-info/METADATA").write_text("Name: one\nVersion: 1.0\n"),
            "one 1.0 does not name its licence",
        ),
        (lambda site: _library(site, "one.libs/libnew-12345678.so.1"), "one.libs/libnew-12345678.so.1 is of no known project"),
        (lambda site: site.rename(site.with_name("away")), "is no folder"),
    ],
    ids=["licence", "library", "folder"],
)
def test_what_is_not_known_stops_the_build(project: Path, site: Path, spoil: "object", sentence: str) -> None:
    assert callable(spoil)
    spoil(site)
    done = run(project, site, "libraries")
    assert done.returncode == 1
    assert sentence in done.stderr


def test_a_library_that_debian_would_have_to_bring_stops_the_build(project: Path, site: Path) -> None:
    # Python's own, which needs more than the package depends on.
    needy = next(Path("/usr/lib/python3").parent.glob("python3.*/lib-dynload/_ssl.*.so"))
    _library(site, "one/needy.so", needy.read_bytes())
    done = run(project, site, "libraries")
    assert done.returncode == 1
    assert "one/needy.so needs libssl.so" in done.stderr


def _library(site: Path, name: str, content: bytes = b"") -> None:
    path = site / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)

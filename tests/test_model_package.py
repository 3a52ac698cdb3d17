"""The packages of models: what is staged for a build, without building it."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

FILES = {"model.bin": b"weights", "config.json": b"{}", "tokenizer.json": b"{}"}


@pytest.fixture
def entry() -> dict[str, object]:
    return {
        "name": "Tiny_Test.en",
        "description": "English only; for tests.",
        "licence": "MIT",
        "languages": ["en"],
        "memory_mb": 1,
        "files": {name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in FILES.items()},
        "sources": {"hub": {"repository": "Owner/tiny", "revision": "0" * 40}},
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store's folder that has the model."""
    place = tmp_path / "store/Tiny_Test.en"
    place.mkdir(parents=True)
    for name, data in FILES.items():
        (place / name).write_bytes(data)
    return place


def stage(
    project: Path, tmp_path: Path, entry: dict[str, object], into: str, family: str = "whisper-ctranslate2"
) -> "subprocess.CompletedProcess[str]":
    catalog = tmp_path / "models.d"
    catalog.mkdir(exist_ok=True)
    (catalog / "test.yaml").write_text(
        yaml.safe_dump({"schema_version": 1, "family": family, "engine": "ctranslate2", "models": [entry]})
    )
    command = [sys.executable, "-m", "model", "Tiny_Test.en", "--store", str(tmp_path / "store"), "--catalog", str(catalog)]
    return subprocess.run(
        [*command, "--changelog", str(project / "packaging/debian/changelog"), "--into", str(tmp_path / into)],
        env=os.environ | {"PYTHONPATH": f"{project}/packaging:{project}/app/src", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_has_the_files_where_the_service_looks_and_a_record_that_holds(
    project: Path, tmp_path: Path, entry: dict[str, object], folder: Path
) -> None:
    done = stage(project, tmp_path, entry, "one")
    assert done.returncode == 0, done.stderr
    debian, files = tmp_path / "one/debian", tmp_path / "one/model/Tiny_Test.en"
    install = (debian / "hailo-whisper-model-tiny-test-en.install").read_text()
    assert install == "model/Tiny_Test.en usr/share/hailo-whisper/models\n"
    record = json.loads((files / "manifest.json").read_text())
    assert record["source"] == "package:hailo-whisper-model-tiny-test-en"
    for name, data in FILES.items():
        assert (files / name).read_bytes() == data
        # As the build leaves them, so that the service need not hash gigabytes at its start.
        assert record["files"][name]["mtime_ns"] == (files / name).stat().st_mtime_ns
        assert record["files"][name]["mtime_ns"] % 1_000_000_000 == 0


def test_it_says_what_it_is_and_on_which_terms(project: Path, tmp_path: Path, entry: dict[str, object], folder: Path) -> None:
    assert stage(project, tmp_path, entry, "one").returncode == 0
    control = (tmp_path / "one/debian/control").read_text()
    assert "\nPackage: hailo-whisper-model-tiny-test-en\nArchitecture: all\n" in control
    assert "Enhances: hailo-whisper\n" in control
    assert max(map(len, control.splitlines())) <= 80
    copyright_ = (tmp_path / "one/debian/copyright").read_text()
    assert "Copyright: 2022 OpenAI\nLicense: MIT\n Permission is hereby granted" in copyright_
    version = (project / "packaging/debian/changelog").read_text().split("(")[1].split(")")[0]
    assert (tmp_path / "one/debian/changelog").read_text().startswith(f"hailo-whisper-models ({version}) ")


def test_the_same_model_gives_the_same_tree(project: Path, tmp_path: Path, entry: dict[str, object], folder: Path) -> None:
    for into in ("one", "two"):
        assert stage(project, tmp_path, entry, into).returncode == 0
    assert subprocess.run(["diff", "-r", tmp_path / "one", tmp_path / "two"], check=False).returncode == 0


@pytest.mark.parametrize(
    ("spoil", "family", "sentence"),
    [
        ("damaged", "whisper-ctranslate2", "is damaged: the sha256 of model.bin"),
        ("missing", "whisper-ctranslate2", "The model Tiny_Test.en is not in"),
        ("", "ours", "Nobody has looked up who has the rights in the models of ours"),
        ("licence", "whisper-ctranslate2", "what the licence Proprietary of Tiny_Test.en says"),
    ],
)
def test_what_may_not_be_handed_on_is_not_packed(
    project: Path, tmp_path: Path, entry: dict[str, object], folder: Path, spoil: str, family: str, sentence: str
) -> None:
    if spoil == "damaged":
        (folder / "model.bin").write_bytes(b"weightz")
    if spoil == "missing":
        folder.rename(tmp_path / "away")
    if spoil == "licence":
        entry["licence"] = "Proprietary"
    done = stage(project, tmp_path, entry, "one", family)
    assert done.returncode == 1
    assert sentence in done.stderr

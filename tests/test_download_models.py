"""script/download_models.sh: the flags and exit codes that people know from the voice pipeline, and a cache that its containers can use."""

import functools
import hashlib
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml

REPOSITORIES = {
    "stt": "models--Systran--faster-whisper-tiny",
    "tts": "models--hexgrad--Kokoro-82M",
    "embeddings": "models--intfloat--multilingual-e5-small",
}
FILES = {"model.bin": b"weights" * 1000, "config.json": b"{}", "tokenizer.json": b"{ }"}
REVISION = "d90ca5fe260221311c53c58e660288d3deb8d356"


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder for programs, first in PATH."""
    folder = tmp_path / "programs"
    folder.mkdir()
    return folder


@pytest.fixture
def recorded(programs: Path) -> Path:
    """What the program was called with: it fails for the models whose names are in the variable FAILING."""
    calls = programs / "calls"
    (programs / "hailo-whisper").write_text(
        f'#!/bin/sh\necho "$@ HF_HOME=$HF_HOME" >>{calls}\ncase " $FAILING " in *" $3 "*) exit "${{STATUS:-1}}" ;; esac\n'
    )
    (programs / "hailo-whisper").chmod(0o755)
    calls.touch()
    return calls


def _run(project: Path, programs: Path, *args: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    environ = {name: value for name, value in os.environ.items() if name not in {"WHISPER_MODEL", "HF_HOME"}}
    environ |= {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": "/home/somebody"} | variables
    return subprocess.run(
        [str(project / "script/download_models.sh"), *args], capture_output=True, text=True, env=environ, timeout=120, check=False
    )


def _models(recorded: Path) -> list[str]:
    return [line.split()[2] for line in recorded.read_text().splitlines()]


def test_without_options_all_three_come_into_the_usual_cache(project: Path, programs: Path, recorded: Path) -> None:
    done = _run(project, programs)
    assert (done.returncode, done.stderr) == (0, "")
    assert "/home/somebody/.cache/huggingface/hub" in done.stdout
    assert _models(recorded) == ["tiny", "kokoro-82m-torch", "multilingual-e5-small"]
    first = recorded.read_text().splitlines()[0]
    place = "/home/somebody/.cache/huggingface"
    assert first == f"models pull tiny --hub-cache {place}/hub HF_HOME={place}"


@pytest.mark.parametrize(
    ("args", "variables", "models"),
    [
        (["--whisper-model", "small.en", "--only", "stt"], {}, ["small.en"]),
        (["--only", "stt"], {"WHISPER_MODEL": "base"}, ["base"]),
        (["--only", "stt", "--whisper-model", "large-v3"], {"WHISPER_MODEL": "base"}, ["large-v3"]),
        (["--only", "tts"], {}, ["kokoro-82m-torch"]),
        (["--only", "embeddings"], {}, ["multilingual-e5-small"]),
    ],
)
def test_options_choose_the_models(
    project: Path, programs: Path, recorded: Path, args: list[str], variables: Mapping[str, str], models: list[str]
) -> None:
    assert _run(project, programs, *args, **variables).returncode == 0
    assert _models(recorded) == models


def test_the_cache_is_an_option_or_hf_home(project: Path, programs: Path, recorded: Path, tmp_path: Path) -> None:
    assert _run(project, programs, "--only", "stt", HF_HOME="/data/hf").returncode == 0
    assert _run(project, programs, "--only", "stt", "--cache-dir", f"{tmp_path}/a b", HF_HOME="/data/hf").returncode == 0
    assert [line.split(" HF_HOME=")[1] for line in recorded.read_text().splitlines()] == ["/data/hf", f"{tmp_path}/a b"]


@pytest.mark.parametrize(("failing", "status"), [("tiny", 1), ("tiny multilingual-e5-small", 2)])
def test_the_exit_code_counts_what_failed(project: Path, programs: Path, recorded: Path, failing: str, status: int) -> None:
    assert _run(project, programs, FAILING=failing).returncode == status
    assert len(_models(recorded)) == 3


def test_an_interrupt_ends_it(project: Path, programs: Path, recorded: Path) -> None:
    assert _run(project, programs, FAILING="tiny", STATUS="130").returncode == 130
    assert _models(recorded) == ["tiny"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--only", "video"], "--only takes stt, tts or embeddings, and not video"),
        (["--whisper-model", "huge"], "there is no Whisper model huge. There are: tiny tiny.en base"),
        (["--whisper-model", "."], "there is no Whisper model ."),
        (["--whisper-model"], "--whisper-model needs a value"),
        (["--cache-dir", ""], "--cache-dir needs a value"),
        (["--fast"], "--fast is not an option"),
        (["tiny"], "tiny is not an option"),
    ],
)
def test_wrong_arguments_end_with_1(project: Path, programs: Path, recorded: Path, args: list[str], said: str) -> None:
    done = _run(project, programs, *args)
    assert done.returncode == 1
    assert said in done.stderr
    assert _models(recorded) == []


def test_without_python_it_ends_with_1(project: Path, programs: Path) -> None:
    for name in ("bash", "env", "dirname", "awk", "grep", "paste", "sed"):
        (programs / name).symlink_to(f"/usr/bin/{name}")
    done = _run(project, programs, PATH=str(programs))
    assert done.returncode == 1
    assert "there is no python3. Install it" in done.stderr


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_names_every_option(project: Path, programs: Path, recorded: Path, option: str) -> None:
    done = _run(project, programs, option)
    assert done.returncode == 0
    for name in (
        "--whisper-model",
        "WHISPER_MODEL",
        "--only stt|tts|embeddings",
        "--cache-dir",
        "HF_HOME",
        "--dry-run",
        "-h, --help",
    ):
        assert name in done.stdout
    assert "set -" not in done.stdout
    assert _models(recorded) == []


def test_a_dry_run_says_what_it_would_do_and_does_nothing(project: Path, programs: Path, recorded: Path, tmp_path: Path) -> None:
    done = _run(project, programs, "--dry-run", "--cache-dir", str(tmp_path / "hf"))
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    for line, repository in zip(lines, REPOSITORIES.values(), strict=True):
        assert line.startswith("would download ")
        assert line.endswith(f" into {tmp_path}/hf/hub/{repository}")
    assert not (tmp_path / "hf").exists()
    assert _models(recorded) == []
    (tmp_path / "hf/hub" / REPOSITORIES["stt"] / "snapshots").mkdir(parents=True)
    again = _run(project, programs, "--dry-run", "--only", "stt", "--cache-dir", str(tmp_path / "hf"))
    assert again.stdout.startswith("would look whether Systran/faster-whisper-tiny is whole in ")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A server with the files of a small model."""
    folder = tmp_path / "served"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()


def test_what_it_downloads_is_found_by_huggingface_hub_and_by_our_store(
    project: Path, programs: Path, server: str, tmp_path: Path
) -> None:
    # The tiny of this test is a small one, from the test's own server.
    described = {
        "schema_version": 1,
        "family": "whisper-ctranslate2",
        "engine": "ctranslate2",
        "models": [
            {
                "name": "tiny",
                "description": "A model for tests.",
                "licence": "MIT",
                "languages": ["en"],
                "memory_mb": 1,
                "files": {name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in FILES.items()},
                "sources": {
                    "hub": {"repository": "Systran/faster-whisper-tiny", "revision": REVISION},
                    "https": {name: f"{server}/{name}" for name in FILES},
                },
            }
        ],
    }
    (tmp_path / "models.d").mkdir()
    (tmp_path / "models.d" / "tiny.yaml").write_text(yaml.safe_dump(described))
    variables = {
        "HAILO_WHISPER_MODELS_CATALOG": str(tmp_path / "models.d"),
        "HAILO_WHISPER_MODELS_SOURCES": "[https]",
        "PYTHONPATH": str(project / "app/src"),
    }
    program = programs / "hailo-whisper"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m hailo_whisper "$@"\n')
    program.chmod(0o755)
    home = tmp_path / "hf"
    first = _run(project, programs, "--only", "stt", "--cache-dir", str(home), **variables)
    assert first.returncode == 0, first.stderr
    assert "pulled tiny from https" in first.stdout
    look = (
        "import sys; from huggingface_hub import snapshot_download; "
        "print(snapshot_download('Systran/faster-whisper-tiny', local_files_only=True))"
    )
    found = subprocess.run(
        [sys.executable, "-c", look],
        capture_output=True,
        text=True,
        env=os.environ | {"HF_HOME": str(home)},
        timeout=60,
        check=True,
    )
    snapshot = Path(found.stdout.strip())
    assert snapshot == home / "hub" / REPOSITORIES["stt"] / "snapshots" / REVISION
    assert {path.name: path.read_bytes() for path in snapshot.iterdir()} == FILES
    assert [path.name for path in (home / "hub").iterdir()] == [REPOSITORIES["stt"]]
    # Readable for containers that run as somebody else.
    assert all(path.stat().st_mode & (0o005 if path.is_dir() else 0o004) for path in (home / "hub").rglob("*"))
    again = _run(project, programs, "--only", "stt", "--cache-dir", str(home), **variables)
    assert "unchanged tiny" in again.stdout
    store = ("models", "import", str(home), "--link", "--dest", str(tmp_path / "store"))
    linked = subprocess.run(
        [str(program), *store], capture_output=True, text=True, env=os.environ | variables, timeout=60, check=False
    )
    assert linked.stdout == f"imported tiny from cache:{home}\n", linked.stderr
    assert (tmp_path / "store/tiny/model.bin").resolve().is_relative_to(home)
    (snapshot / "model.bin").resolve().write_bytes(b"x" * len(FILES["model.bin"]))
    mended = _run(project, programs, "--only", "stt", "--cache-dir", str(home), **variables)
    assert "pulled tiny from https" in mended.stdout
    assert (snapshot / "model.bin").read_bytes() == FILES["model.bin"]

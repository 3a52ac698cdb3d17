"""`hailo-whisper transcribe` without a server: the stations of one in the process of whoever calls it."""

import json
import os
import subprocess
from pathlib import Path

import media
import pytest
from polling import until
from serving import server_process
from transcribing import Caller, interrupt, recordings

from hailo_whisper.recordings.results import ENDINGS


@pytest.fixture
def caller(tmp_path: Path, model_folder: Path) -> Caller:
    return Caller(tmp_path, model_folder)


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    return tmp_path / "sounds"


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_results_are_beside_the_recordings(caller: Caller, sounds: Path, clip_words: str) -> None:
    paths = recordings(sounds, "a.wav", "b.wav")
    done = caller.call(*paths, "--format", "text", "--format", "srt")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert names(sounds) == ["a.srt", "a.txt", "a.wav", "b.srt", "b.txt", "b.wav"]
    assert (sounds / "a.txt").read_text() == f"{clip_words}\n"
    assert (sounds / "b.srt").read_text().startswith("1\n00:00:0")
    assert "a.wav: 5.3 s of sound" in done.stderr
    assert done.stderr.endswith("2 transcribed\n")


def test_it_hears_what_a_server_hears(caller: Caller, sounds: Path, model_folder: Path) -> None:
    (path,) = recordings(sounds, "a.wav")
    assert caller.call(path, *(word for name in ENDINGS for word in ("--format", name))).returncode == 0
    with server_process(caller.folder, model_folder) as server:
        until(server.ready)
        for name, ending in ENDINGS.items():
            response = server.transcribe(path.read_bytes(), response_format=name)
            assert (sounds / f"a{ending}").read_text().rstrip("\n") == response.text.rstrip("\n")


def test_folders_are_walked_and_results_laid_out_likewise(caller: Caller, sounds: Path, tmp_path: Path) -> None:
    recordings(sounds, "a.wav", "deep/b.wav")
    (sounds / "deep" / "notes.txt").write_text("mine")
    done = caller.call(sounds, "--recursive", "--output-dir", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert names(tmp_path / "out") == ["a.txt", "deep/b.txt"]
    assert names(sounds) == ["a.wav", "deep/b.wav", "deep/notes.txt"]


def test_many_files_share_batches(caller: Caller, sounds: Path, model_folder: Path) -> None:
    paths = recordings(sounds, *(f"{number:02}.wav" for number in range(40)))
    done = caller.call(*paths, "--prompt", "say so")
    assert done.returncode == 0, done.stderr
    assert {(sounds / f"{number:02}.txt").read_text() for number in range(40)} == {"so\n"}
    assert done.stderr.endswith("40 transcribed\n")


def test_what_is_done_is_not_done_again(caller: Caller, sounds: Path, model_folder: Path) -> None:
    a, b = recordings(sounds, "a.wav", "b.wav")
    assert caller.call(a).returncode == 0
    done = caller.call(a, b, "--prompt", "say more")
    assert done.stderr.endswith("1 transcribed, 1 done already\n"), done.stderr
    assert (sounds / "b.txt").read_text() == "more\n"
    # Not even the model is needed when there is nothing to do.
    (model_folder / "script").write_text("raise-at-load")
    done = caller.call(a, b)
    assert (done.returncode, done.stderr) == (0, "2 done already\n")
    (model_folder / "script").unlink()
    os.utime(a, (a.stat().st_atime, (sounds / "a.txt").stat().st_mtime + 1))
    assert caller.call(a, b, "--prompt", "say newer").stderr.endswith("1 transcribed, 1 done already\n")
    assert [(sounds / name).read_text() for name in ("a.txt", "b.txt")] == ["newer\n", "more\n"]
    assert caller.call(a, b, "--force", "--prompt", "say all").stderr.endswith("2 transcribed\n")
    assert [(sounds / name).read_text() for name in ("a.txt", "b.txt")] == ["all\n", "all\n"]


def test_an_interruption_leaves_nothing_behind_and_can_be_gone_on_from(
    caller: Caller, sounds: Path, model_folder: Path, clip_words: str
) -> None:
    a, b = recordings(sounds, "a.wav", "b.wav")
    assert caller.call(a).returncode == 0
    process = caller.start(a, b, "--prompt", "wait go")
    until((model_folder / "waiting").exists)
    status, told = interrupt(process)
    assert status == 130
    assert "1 done already, interrupted; the same command goes on from here" in told
    assert "Traceback" not in told
    assert names(sounds) == ["a.txt", "a.wav", "b.wav"]
    (model_folder / "go").touch()
    assert caller.call(a, b, "--prompt", "wait go").stderr.endswith("1 transcribed, 1 done already\n")


def test_an_interruption_while_the_model_is_loaded(caller: Caller, sounds: Path, model_folder: Path) -> None:
    paths = recordings(sounds, "a.wav")
    (model_folder / "script").write_text("slow-to-load")
    process = caller.start(*paths)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    until(children.read_text)
    status, told = interrupt(process)
    assert (status, "nothing done, interrupted" in told) == (130, True), told


def test_a_bad_file_costs_only_itself(caller: Caller, sounds: Path) -> None:
    a, b, c = recordings(sounds, "a.wav", "b.wav", "c.wav")
    b.write_bytes(b"no sound at all")
    missing = sounds / "missing.wav"
    done = caller.call(a, b, missing, c)
    assert done.returncode == 1
    assert names(sounds) == ["a.txt", "a.wav", "b.wav", "c.txt", "c.wav"]
    assert "2 transcribed, 2 failed\n" in done.stderr
    assert f"failed: {b}: Invalid file format." in done.stderr
    assert f"failed: {missing}: It cannot be read: No such file or directory. Check the name" in done.stderr


def test_a_recording_that_crashes_the_engine_is_told_of(caller: Caller, sounds: Path) -> None:
    paths = recordings(sounds, "a.wav")
    done = caller.call(*paths, "--prompt", "crash")
    assert done.returncode == 1
    assert "1 failed\n" in done.stderr
    assert "The engine's process died" in done.stderr
    assert len(done.stderr.splitlines()) == 3
    assert names(sounds) == ["a.wav"]


def test_an_engine_that_cannot_be_started_ends_the_run(caller: Caller, sounds: Path, model_folder: Path) -> None:
    paths = recordings(sounds, "a.wav", "b.wav")
    (model_folder / "script").write_text("raise-at-load")
    done = caller.call(*paths)
    assert done.returncode == 1
    assert done.stderr.startswith("nothing done, stopped\nhailo-whisper: The worker could not be started")
    assert "the accelerator is on fire" in done.stderr


def test_a_model_that_is_not_there_is_told_how_to_get(caller: Caller, sounds: Path) -> None:
    paths = recordings(sounds, "a.wav")
    done = caller.call(*paths, "--model", "tiny.en")
    assert done.returncode == 1
    assert "hailo-whisper models pull tiny.en" in done.stderr


def test_a_language_that_the_model_lacks_is_refused(caller: Caller, sounds: Path) -> None:
    paths = recordings(sounds, "a.wav")
    done = caller.call(*paths, "--language", "fr")
    assert done.returncode == 1
    assert "does not know the language 'fr'" in done.stderr
    assert "en, de, ar" in done.stderr


def test_the_options_reach_the_engine(caller: Caller, sounds: Path) -> None:
    (path,) = recordings(sounds, "a.wav")
    done = caller.call(path, "--stdout", "--prompt", "options", "--beam", "3", "--temperature", "0.4")
    assert done.stdout == "3 0.4\n", done.stderr
    done = caller.call(path, "--stdout", "--format", "verbose_json", "--language", "auto")
    assert json.loads(done.stdout)["language"] == "german"
    assert names(sounds) == ["a.wav"]


def test_several_on_standard_output_have_their_names(caller: Caller, sounds: Path) -> None:
    a, b = recordings(sounds, "a.wav", "b.wav")
    done = caller.call(a, b, "--stdout", "--prompt", "say so")
    assert sorted(done.stdout.split("==> ")[1:]) == [f"{path} <==\nso\n" for path in (a, b)]
    done = caller.call(a, b, "--stdout", "--prompt", "say so", "--format", "json")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted((one["file"], one["text"]) for one in found) == [(str(a), "so"), (str(b), "so")]


def test_a_standard_output_that_is_full_ends_the_run(caller: Caller, sounds: Path) -> None:
    paths = recordings(sounds, "a.wav", "b.wav")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            caller.argv(*paths, "--stdout"), stdout=full, stderr=subprocess.PIPE, text=True, timeout=120, check=False
        )
    assert done.returncode == 1
    assert "hailo-whisper: Standard output takes no more: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_silence_has_an_empty_result(caller: Caller, sounds: Path) -> None:
    (path,) = recordings(sounds, "a.wav")
    path.write_bytes(media.silence(3))
    done = caller.call(path, "--format", "text", "--format", "vtt", "--prompt", "crash")
    assert done.returncode == 0, done.stderr
    assert [(sounds / name).read_text() for name in ("a.txt", "a.vtt")] == ["\n", "WEBVTT\n\n"]


# Runs a command with a file system of its own at $1: read-only, or full but for a little.
MOUNTED = """
set -e
mount -t tmpfs -o size=64k,nr_inodes=64 none "$1"
case $2 in
  full) head -c 60k /dev/zero >"$1/ballast"; cat /dev/zero >"$1/rest" 2>/dev/null || true ;;
  read-only) mount -o remount,ro "$1" ;;
esac
shift 2
exec "$@"
"""


@pytest.mark.parametrize(("kind", "why"), [("full", "No space left on device"), ("read-only", "not writable")])
def test_a_folder_that_takes_nothing_ends_the_run(kind: str, why: str, caller: Caller, sounds: Path, tmp_path: Path) -> None:
    paths = recordings(sounds, "a.wav", "b.wav")
    out = tmp_path / "out"
    out.mkdir()
    probe = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("needs the right to mount")
    caller.before = ["unshare", "--mount", "sh", "-c", MOUNTED, "sh", str(out), kind]
    done = caller.call(*paths, "--output-dir", out)
    assert done.returncode == 1
    assert done.stderr.startswith("nothing done, stopped\nhailo-whisper: /")
    assert why in done.stderr
    assert "--output-dir" in done.stderr
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.parametrize(
    ("args", "advice"),
    [
        (["--stdout", "--format", "srt", "--format", "text"], "one --format"),
        (["--stdout", "--output-dir", "/tmp"], "Leave out --output-dir"),
        (["--temperature", "2"], "from 0 to 1"),
        (["--beam", "0"], "from 1 to 32"),
        (["--timeout", "0"], "above 0"),
        (["--language", "english"], "ISO 639-1"),
        (["--api-key", "secret"], "--server"),
        (["--parallel", "2"], "--parallel is for a server"),
        (["--cert", "a.crt"], "--cert is for a server"),
        (["--server", "https://localhost", "--cert-key", "a.key"], "Name that with --cert."),
        (["--server", "https://localhost", "--cert", "a.crt"], "a.crt (--cert) cannot be read"),
        (["--server", "http://localhost", "--parallel", "0"], "from 1 to 256"),
        (["--server", "http://localhost", "--patience", "-1"], "0 seconds or more"),
        (["--server", "http://localhost", "--beam", "3"], "Leave it out"),
        (["--server", "http://localhost", "--language", "auto"], "Leave it out"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_once(args: list[str], advice: str, capsys: pytest.CaptureFixture[str]) -> None:
    from hailo_whisper.cli import main

    assert main(["transcribe", "a.wav", *args]) == 1
    assert advice in capsys.readouterr().err

"""`hailo-whisper transcribe --server`: a server hears the recordings."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from polling import until
from replies import Reply, replying, verbose
from serving import ServerProcess, free_port, server_process
from transcribing import Caller, interrupt, recordings


@pytest.fixture
def caller(tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Caller:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return Caller(tmp_path, model_folder)


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    return tmp_path / "sounds"


@pytest.fixture
def narrow(tmp_path: Path, model_folder: Path) -> Iterator[ServerProcess]:
    """A server that takes one request at a time."""
    with server_process(tmp_path, model_folder, more={"limits": {"requests": 1}}) as started:
        until(started.ready)
        yield started


def texts(sounds: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(sounds.glob("*.txt"))}


def test_a_server_that_is_full_is_asked_again(caller: Caller, sounds: Path, narrow: ServerProcess) -> None:
    paths = recordings(sounds, *(f"{number}.wav" for number in range(6)))
    done = caller.call(*paths, "--server", narrow.client.base_url, "--prompt", "say so", "--verbose", local=False)
    assert done.returncode == 0, done.stderr
    assert texts(sounds) == {f"{number}.txt": "so\n" for number in range(6)}
    assert "trying again in" in done.stderr, "four at a time are too many for it"


def test_a_bad_file_costs_only_itself(caller: Caller, sounds: Path, narrow: ServerProcess) -> None:
    a, b = recordings(sounds, "a.wav", "b.wav")
    a.write_bytes(b"no sound at all")
    done = caller.call(a, b, "--server", narrow.client.base_url, "--format", "srt", local=False)
    assert done.returncode == 1
    assert f"failed: {a}: The server answers 400: Invalid file format." in done.stderr
    assert (sounds / "b.srt").read_text().startswith("1\n")


def test_a_server_that_is_down_ends_the_run(caller: Caller, sounds: Path) -> None:
    paths = recordings(sounds, "a.wav", "b.wav")
    done = caller.call(*paths, "--server", f"http://127.0.0.1:{free_port()}", local=False)
    assert done.returncode == 1
    assert "nothing done, stopped\nhailo-whisper: The server at http://127.0.0.1:" in done.stderr
    assert "Check the address and that it runs" in done.stderr
    assert len(done.stderr.splitlines()) == 4, "and for each recording, that it waits"


def test_an_interruption_keeps_what_is_done(caller: Caller, sounds: Path) -> None:
    a, b = recordings(sounds, "a.wav", "b.wav")
    never = threading.Event()
    with replying(Reply(body=verbose("First.")), Reply(body=verbose("Second."), wait=never)) as replier:
        process = caller.start(a, b, "--server", replier.url, local=False)
        until(lambda: texts(sounds) and len(replier.asked) == 2)
        status, told = interrupt(process)
        assert status == 130
        assert "1 transcribed, interrupted" in told
        assert [*texts(sounds).values()] == ["First.\n"]
        never.set()
        done = caller.call(a, b, "--server", replier.url, local=False)
    assert done.stderr.endswith("1 transcribed, 1 done already\n")
    assert sorted(texts(sounds).values()) == ["First.\n", "Second.\n"]


def test_the_key_comes_from_the_environment_or_the_command_line(
    caller: Caller, sounds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = recordings(sounds, "a.wav")
    monkeypatch.setenv("OPENAI_API_KEY", "of the environment")
    with replying(Reply(body=verbose())) as replier:
        for more in ([], ["--api-key", "of the command line"]):
            done = caller.call(*paths, "--server", replier.url, "--force", *more, local=False)
            assert done.returncode == 0, done.stderr
    assert [asked.headers["authorization"] for asked in replier.asked] == [
        "Bearer of the environment",
        "Bearer of the command line",
    ]


def test_nothing_goes_to_a_server_that_was_not_named(caller: Caller, sounds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = recordings(sounds, "a.wav")
    with replying(Reply(body=verbose())) as replier:
        monkeypatch.setenv("OPENAI_BASE_URL", replier.url)
        assert caller.call(*paths).returncode == 0
    assert not replier.asked

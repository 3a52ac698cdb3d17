"""`hailo-whisper transcribe --server GATEWAY FOLDER`: many recordings over several machines, some of which fail."""

import contextlib
import itertools
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import media
import numpy as np
import pytest
from failing_gateway import Fault, failing_gateway
from polling import until
from serving import ServerProcess, server_process
from transcribing import Caller, interrupt

MANY = 24


@pytest.fixture
def caller(tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Caller:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return Caller(tmp_path, model_folder)


@pytest.fixture
def nodes(tmp_path: Path, model_folder: Path) -> Iterator[list[ServerProcess]]:
    """Two machines."""
    with contextlib.ExitStack() as stack:
        started = []
        for name in ("one", "other"):
            (tmp_path / name).mkdir()
            started.append(stack.enter_context(server_process(tmp_path / name, model_folder)))
        until(lambda: all(node.ready() for node in started))
        yield started


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Recordings of which each has a length of its own, by which its result is known."""
    folder = tmp_path / "sounds"
    folder.mkdir()
    for number in range(MANY):
        (folder / f"{number:02}.wav").write_bytes(media.wav(np.zeros(1600 * (number + 5), np.int16)))
    return folder


def lengths(folder: Path) -> dict[str, float]:
    """The length of the recording that each result is of."""
    found = {path.name: json.loads(path.read_text())["duration"] for path in folder.glob("*.json")}
    return {name.partition(".")[0]: round(duration, 1) for name, duration in sorted(found.items())}


EVERY = {f"{number:02}": round((number + 5) / 10, 1) for number in range(MANY)}


def url(node: ServerProcess) -> str:
    return str(node.client.base_url).rstrip("/")


def arguments(folder: Path, server: str, *more: str) -> list[object]:
    return [folder, "--server", server, "--format", "verbose_json", *more]


def test_requests_are_kept_in_flight_and_survive_what_befalls_them(
    caller: Caller, folder: Path, nodes: list[ServerProcess]
) -> None:
    befalls: dict[int, Fault] = {0: "reset", 3: "503", 4: "429", 5: "502", 9: "reset", 15: "502", 20: "503"}
    with failing_gateway([*map(url, nodes)], befalls.get, hold=6) as gateway:
        done = caller.call(*arguments(folder, gateway.url, "--parallel", "6"), local=False)
    assert done.returncode == 0, done.stderr
    assert lengths(folder) == EVERY
    assert gateway.most == 6
    assert gateway.faults == {"reset": 2, "502": 2, "503": 2, "429": 1}
    assert set(gateway.answered.values()) == {1}, "each was transcribed once"
    assert gateway.asked == MANY + len(befalls)
    assert done.stderr.endswith(f"{MANY} transcribed\n")
    # Whoever was told when to come again did not come before.
    pauses = [later - earlier for times in gateway.times.values() for earlier, later in itertools.pairwise(times)]
    assert min(pauses) > 0.45
    assert sorted(pauses)[2] > 0.9, "all but the one of half a second"


def test_a_node_dies_in_the_middle(caller: Caller, folder: Path, nodes: list[ServerProcess]) -> None:
    with failing_gateway([*map(url, nodes)]) as gateway:
        process = caller.start(*arguments(folder, gateway.url, "--parallel", "4"), local=False)
        until(lambda: len(gateway.answered) >= 4)
        nodes[1].process.kill()
        _, told = process.communicate(timeout=120)
    assert process.returncode == 0, told
    assert lengths(folder) == EVERY
    assert gateway.faults["node"] > 0, "some were asked of the dead one"
    assert set(gateway.answered.values()) == {1}
    assert "trying again in 1.0 s" in told


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_goes_on_where_it_stopped(
    caller: Caller, folder: Path, nodes: list[ServerProcess], signal_number: int
) -> None:
    with failing_gateway([*map(url, nodes)]) as gateway:
        process = caller.start(*arguments(folder, gateway.url, "--parallel", "3"), local=False)
        until(lambda: len(lengths(folder)) >= 5)
        if signal_number == signal.SIGINT:
            status, told = interrupt(process)
            assert (status, "interrupted; the same command goes on from here" in told) == (130, True)
        else:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate(timeout=60)
        before = lengths(folder)
        assert before.items() <= EVERY.items()
        assert len(before) < MANY, "it was stopped in the middle"
        done = caller.call(*arguments(folder, gateway.url), local=False)
    assert done.returncode == 0, done.stderr
    assert lengths(folder) == EVERY
    assert done.stderr.endswith(f"{MANY - len(before)} transcribed, {len(before)} done already\n")
    assert all(gateway.answered[f"{name}.wav"] == 1 for name in before), "what was done is not done twice"
    assert max(gateway.answered.values()) <= 2, "and what was in flight once more"


def test_a_server_that_comes_back_is_waited_for(caller: Caller, folder: Path, tmp_path: Path, model_folder: Path) -> None:
    """One machine, no gateway: its upgrade takes longer than three tries."""
    with server_process(tmp_path, model_folder) as server:
        until(server.ready)
        process = caller.start(*arguments(folder, url(server), "--parallel", "2"), local=False)
        until(lambda: len(lengths(folder)) >= 2)
        port = int(url(server).rpartition(":")[2])
        server.process.kill()
        server.process.wait()
    time.sleep(5)
    assert process.poll() is None, "it waits"
    with server_process(tmp_path, model_folder, port=port):
        _, told = process.communicate(timeout=120)
    assert process.returncode == 0, told
    assert lengths(folder) == EVERY


def test_a_server_that_stays_away_ends_the_run(caller: Caller, folder: Path, tmp_path: Path, model_folder: Path) -> None:
    with server_process(tmp_path, model_folder) as server:
        until(server.ready)
        process = caller.start(*arguments(folder, url(server), "--patience", "2", "--parallel", "2"), local=False)
        until(lambda: len(lengths(folder)) >= 2)
        server.process.kill()
        server.process.wait()
        _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "has been away for 2 s" in told
    assert lengths(folder).items() <= EVERY.items()

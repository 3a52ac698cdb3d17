"""Every way in which a hub can fail, as whoever pulls sees it: it is named, costs little time, and the next source brings the model."""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playing_hub import Answer, cut, drip, page, playing, sends, silent, stall, status

from hailo_whisper.models.pull import pull
from hailo_whisper.models.sources import FolderSource, HubSource, Patience
from hailo_whisper.models.store import Store

BIG = os.urandom(3_000_000)
WRONG = b"\xff" * len(BIG)
# Long enough for a busy machine to keep up, short enough to be waited for.
PATIENCE = Patience(connect=1, stall=1, tries=2, pause=0.01)
SLOWEST = 15.0


@pytest.fixture
def files(files: dict[str, bytes]) -> dict[str, bytes]:
    return files | {"model.bin": BIG}


@pytest.fixture(autouse=True)
def lonely(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "HF_HUB_OFFLINE", "HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@contextlib.contextmanager
def _refusing() -> Iterator[str]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@contextlib.contextmanager
def _swallowing() -> Iterator[str]:
    """An address whose packets nobody answers: the queue of its socket is full."""
    with socket.socket() as bound, contextlib.ExitStack() as clients:
        bound.bind(("127.0.0.1", 0))
        bound.listen(0)
        for _ in range(3):
            client = clients.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(bound.getsockname())
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@contextlib.contextmanager
def _mute() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def _pull(store: Store, stick: Path) -> str:
    """Pull from the hub and, when it fails, from a stick. Returns what is said of the hub."""
    began = time.monotonic()
    outcome = pull("small", store, [HubSource(PATIENCE), FolderSource(stick)])
    assert time.monotonic() - began < SLOWEST
    store.verify("small")
    assert not (store.root / ".partial").exists()
    assert outcome.source == f"folder:{stick}"
    (failed,) = outcome.failed
    assert failed.startswith("hub: ")
    return failed


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (_refusing, "could not be reached: Connection refused"),
        (_swallowing, "could not be reached: timed out"),
        (_mute, "takes connections and does not answer"),
    ],
)
def test_a_hub_that_is_not_there(
    store: Store,
    stick: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: Callable[[], "contextlib.AbstractContextManager[str]"],
    said: str,
) -> None:
    with place() as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        assert said in _pull(store, stick)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (silent(4), "nothing arrived for 1 seconds, 2 times in a row"),
        (stall(1_000_000, 4), "nothing arrived for 1 seconds, 2 times in a row"),
        (drip(4), "hardly anything arrived for 1 seconds, 2 times in a row"),
        (cut(0), "the connection ended after 0 bytes, 2 times in a row"),
        (sends(WRONG), "what arrived is not the pinned model: the sha256 of model.bin is"),
        (sends(BIG[:-1]), "model.bin has 2999999 bytes at 127.0.0.1 and must have 3000000"),
        (page, "model.bin: a web page came from 127.0.0.1 instead of the file"),
        (status(302, Location="/model.bin"), "model.bin: the server redirects in a circle"),
        (status(429), "127.0.0.1 answers 429, 2 times in a row"),
        (status(503), "127.0.0.1 answers 503, 2 times in a row"),
        (status(503, Retry_After="3600"), "asks to come again in 3600 seconds"),
        (status(401), "127.0.0.1 refuses it (401): set HF_TOKEN"),
        (status(404), "model.bin: 127.0.0.1 answers 404"),
        (status(418), "model.bin: 127.0.0.1 answers 418"),
    ],
    ids=["silent", "stall", "drip", "cut", "wrong", "short", "page", "circle", "429", "503", "later", "401", "404", "418"],
)
def test_a_hub_that_fails_for_good(
    store: Store, stick: Path, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, answer: Answer, said: str
) -> None:
    with playing(files, {"model.bin": [answer] * 30}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        assert said in _pull(store, stick)


@pytest.mark.parametrize(
    "answers",
    [[status(429)], [status(503, Retry_After="0")], [stall(1_000_000, 4)], [cut(1_500_000)], [cut(1_500_000), status(503)]],
    ids=["429", "503", "stall", "cut", "cut-503"],
)
def test_a_hub_that_recovers(
    store: Store, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, answers: list[Answer]
) -> None:
    with playing(files, {"model.bin": answers}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        outcome = pull("small", store, [HubSource(PATIENCE)])
    assert (outcome.source, outcome.failed) == ("hub", ())
    store.verify("small")

"""One server with the scripted engine, as an administrator starts it, for the tests that only send it something."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from emulated import Device
from offering import NAMES
from polling import until
from serving import ServerProcess, server_process
from stored import place, store_of

from hailo_whisper.engines import breaker, holdoff, pauses
from hailo_whisper.models.store import Store


@pytest.fixture(scope="package")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("server")
    model = folder / "model"
    model.mkdir()
    for name in ("model.bin", "config.json", "tokenizer.json"):
        (model / name).write_text("{}")
    with server_process(folder, model) as started:
        until(started.ready)
        yield started


@pytest.fixture
def server(shared_server: ServerProcess, clip_words: str) -> Iterator[ServerProcess]:
    """The server, which must be none the worse for what the test sent it."""
    before = shared_server.pid, shared_server.worker
    yield shared_server
    assert shared_server.client.get("/health").json()["status"] == "ok"
    response = shared_server.transcribe()
    assert (response.status_code, response.json().get("text")) == (200, clip_words)
    assert (shared_server.pid, shared_server.worker) == before, "the same server and the same worker"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ping, unload and try again at once instead of within seconds."""
    monkeypatch.setattr(pauses, "PING", 0.3)
    monkeypatch.setattr(pauses, "LOOK", 0.1)
    monkeypatch.setattr(breaker, "FIRST_PAUSE", 0.1)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, impatient: None) -> None:
    """Ask for a device again at once."""
    monkeypatch.setattr(pauses, "DEVICE", 0.3)
    monkeypatch.setattr(pauses, "BESIDE", 0.3)
    monkeypatch.setattr(pauses, "BUSY", 0.1)
    monkeypatch.setattr(holdoff, "FIRST", 0.1)
    monkeypatch.setattr(holdoff, "AGAIN", 0.1)


@pytest.fixture
def hef(device: Device, tmp_path: Path, clip_words: str) -> Path:
    """A HEF for the emulated device, which hears the clip in everything."""
    return device.hef(tmp_path, says=clip_words)


@pytest.fixture
def somebody(device: Device) -> Iterator[Any]:
    """Another program that has the emulated device for itself."""
    vdevice = importlib.import_module("hailo_platform").VDevice()
    yield vdevice
    vdevice.release()


@pytest.fixture
def crashed(model_folder: Path) -> Path:
    """Is there once the engine crashed over `crash-once`."""
    return model_folder / "crashed"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store of three models, of which one is there (see support/offering)."""
    store = store_of(tmp_path, *NAMES)
    place(store, "base")
    return store

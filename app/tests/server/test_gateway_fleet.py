"""The gateway before servers of this tree, under the load of the official SDK: nothing is lost, and nothing is answered twice."""

import contextlib
import os
import signal
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from gateways import Gateway, gateway
from polling import LONGEST, until
from serving import ServerProcess, free_port, server_process

from hailo_whisper.engines.warm_up import clip

NAMES = ("kitchen", "office", "garage")
QUICK = {"inter 2s": "inter 300ms"}
KEY = "sk-of-this-test"
MOST = 8
"""Requests that each takes at a time; more than all clients of a `Load` have."""


class Fleet:
    """Three servers, of which each can be ended and started again, and the gateway before them."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self.folders = {name: folder / name for name in NAMES}
        self.ports = {name: free_port() for name in NAMES}
        self.servers: dict[str, ServerProcess] = {}
        for each in self.folders.values():
            (each / "model").mkdir(parents=True)
            for file in ("model.bin", "config.json", "tokenizer.json"):
                (each / "model" / file).write_text("{}")
            keys = each / "keys"
            keys.touch(mode=0o600)
            keys.write_text(f"test:{KEY}\n")

    def start(self, name: str) -> ServerProcess:
        folder = self.folders[name]
        more: dict[str, dict[str, Any]] = {"access": {"keys": str(folder / "keys")}, "limits": {"requests": MOST}}
        self.servers[name] = self._stack.enter_context(server_process(folder, folder / "model", port=self.ports[name], more=more))
        return self.servers[name]

    def hosts(self) -> dict[str, dict[str, object]]:
        return {
            name: {"hailo_whisper_gateway_address": f"127.0.0.1:{port}", "hailo_whisper_keys": {"test": KEY}}
            for name, port in self.ports.items()
        }

    def answered(self) -> Counter[str]:
        """How often each request of a `Load`, by the client's own name for it, was answered with 200, by the gateway's log."""
        return Counter(line["client_request_id"] for line in self._answers())

    def shares(self) -> Counter[str]:
        """How many of them each server has answered."""
        return Counter(line["appliance"] for line in self._answers())

    def _answers(self) -> list[dict[str, Any]]:
        return [line for line in self.front.log() if line["client_request_id"].startswith("load-") and line["status"] == 200]

    front: Gateway


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    with contextlib.ExitStack() as stack:
        made = Fleet(folder, stack)
        for name in NAMES:
            made.start(name)
        made.front = stack.enter_context(gateway(folder / "gateway", made.hosts(), QUICK))
        until(lambda: made.front.ready() == set(NAMES))
        yield made


class Load:
    """Clients with the official SDK as it comes, each of which sends one request after another."""

    def __init__(self, fleet: Fleet, clients: int = 3) -> None:
        self._fleet = fleet
        self.sent: list[str] = []
        self.texts: list[str] = []
        self.failed: list[str] = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._client) for _ in range(clients)]

    def _client(self) -> None:
        with openai.OpenAI(base_url=f"{self._fleet.front.url}/v1", api_key=KEY) as client:
            while not self._over.is_set():
                name = f"load-{uuid.uuid4().hex}"
                self.sent.append(name)
                try:
                    reply = client.audio.transcriptions.create(
                        model="whisper-1", file=("clip.wav", clip()), extra_headers={"x-client-request-id": name}
                    )
                    self.texts.append(reply.text)
                except openai.OpenAIError as error:
                    self.failed.append(f"{error!r} because of {error.__cause__!r}")

    def more(self, count: int = 10) -> None:
        """Wait until so many more have been answered."""
        wanted = len(self.texts) + len(self.failed) + count
        until(lambda: len(self.texts) + len(self.failed) >= wanted)

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(60)


def assert_whole(fleet: Fleet, load: Load, words: str) -> None:
    """Every request had its words, once."""
    assert load.failed == []
    assert set(load.texts) == {words}
    assert len(load.texts) == len(load.sent)
    until(lambda: set(load.sent) <= fleet.answered().keys())
    assert {name: times for name, times in fleet.answered().items() if times != 1} == {}


def test_the_load_is_spread(fleet: Fleet, clip_words: str) -> None:
    with Load(fleet, clients=6) as load:
        load.more(60)
    assert_whole(fleet, load, clip_words)
    shares = fleet.shares()
    assert set(shares) == set(NAMES)
    assert min(shares.values()) > sum(shares.values()) / 6, shares


def test_the_key_is_the_appliances_to_judge(fleet: Fleet) -> None:
    with openai.OpenAI(base_url=f"{fleet.front.url}/v1", api_key="sk-wrong") as client, pytest.raises(openai.AuthenticationError):
        client.audio.transcriptions.create(model="whisper-1", file=("clip.wav", clip() + b"\0" * 20_000_000))


def test_one_that_is_at_work_is_left_to_it(fleet: Fleet) -> None:
    """The one with the fewest connections gets the next request, however fast the others take theirs."""
    texts: list[str] = []

    def send() -> None:
        with openai.OpenAI(base_url=f"{fleet.front.url}/v1", api_key=KEY) as client:
            texts.append(client.audio.transcriptions.create(model="whisper-1", file=("a.wav", clip()), prompt="wait go").text)

    thread = threading.Thread(target=send)
    thread.start()
    waiting = {name: folder / "model/waiting" for name, folder in fleet.folders.items()}
    until(lambda: any(path.exists() for path in waiting.values()))
    (busy,) = [name for name, path in waiting.items() if path.exists()]
    before = fleet.shares()
    with openai.OpenAI(base_url=f"{fleet.front.url}/v1", api_key=KEY) as client:
        for number in range(8):
            headers = {"x-client-request-id": f"load-beside-{number}"}
            client.audio.transcriptions.create(model="whisper-1", file=("a.wav", clip()), extra_headers=headers)
    until(lambda: (fleet.shares() - before).total() == 8)
    assert (fleet.shares() - before)[busy] == 0
    (fleet.folders[busy] / "model/go").touch()
    thread.join(LONGEST)
    assert len(texts) == 1


def test_one_that_is_full_is_left_alone_while_another_has_room(fleet: Fleet, clip_words: str) -> None:
    """It refuses what it gets, and so would always have the fewest requests of the gateway's."""
    (fleet.folders["kitchen"] / "model/go").unlink(missing_ok=True)
    statuses: list[int] = []

    def send() -> None:
        files, data = {"file": ("a.wav", clip())}, {"model": "whisper-1", "prompt": "wait go"}
        url = f"http://127.0.0.1:{fleet.ports['kitchen']}/v1/audio/transcriptions"
        headers = {"authorization": f"Bearer {KEY}"}
        statuses.append(
            httpx.post(url, files=files, data=data, headers=headers, timeout=LONGEST * 4, trust_env=False).status_code
        )

    threads = [threading.Thread(target=send) for _ in range(MOST)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: fleet.front.appliances()["kitchen"]["state"] == "full")
        before = fleet.shares()
        with Load(fleet, clients=6) as load:
            load.more(40)
        assert_whole(fleet, load, clip_words)
        assert (fleet.shares() - before)["kitchen"] == 0
    finally:
        (fleet.folders["kitchen"] / "model/go").touch()
        for thread in threads:
            thread.join(LONGEST)
    assert statuses == [200] * MOST
    until(lambda: fleet.front.ready() == set(NAMES))


@pytest.mark.parametrize("signal_", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "ended"])
def test_a_server_that_goes_away_and_comes_back_loses_nothing(fleet: Fleet, clip_words: str, signal_: signal.Signals) -> None:
    with Load(fleet) as load:
        load.more()
        os.kill(fleet.servers["office"].pid, signal_)
        fleet.servers["office"].process.wait(LONGEST)
        until(lambda: fleet.front.ready() == {"kitchen", "garage"})
        load.more()
        gone = fleet.shares()["office"]
        # While it loads, it gets nothing.
        (fleet.folders["office"] / "model/go").unlink(missing_ok=True)
        (fleet.folders["office"] / "model/script").write_text("slow-to-load")
        fleet.start("office")
        until(lambda: "503" in str(fleet.front.appliances()["office"]["check"]))
        load.more()
        assert fleet.shares()["office"] == gone
        (fleet.folders["office"] / "model/go").touch()
        until(lambda: fleet.front.ready() == set(NAMES))
        until(lambda: fleet.shares()["office"] > gone)
    assert_whole(fleet, load, clip_words)


def test_a_server_that_was_stopped_for_a_while_loses_nothing(fleet: Fleet, clip_words: str) -> None:
    """As a machine that is so busy that it does nothing: what it had waits for it, and the others do the rest."""
    with Load(fleet) as load:
        load.more()
        os.kill(fleet.servers["garage"].pid, signal.SIGSTOP)
        try:
            until(lambda: fleet.front.ready() == {"kitchen", "office"})
        finally:
            os.kill(fleet.servers["garage"].pid, signal.SIGCONT)
        until(lambda: fleet.front.ready() == set(NAMES))
        load.more()
    assert_whole(fleet, load, clip_words)


def test_a_drained_server_is_replaced_under_load(fleet: Fleet, clip_words: str) -> None:
    with Load(fleet) as load:
        load.more()
        assert fleet.front.command("drain", "kitchen", "--wait", "20").returncode == 0
        os.kill(fleet.servers["kitchen"].pid, signal.SIGTERM)
        fleet.servers["kitchen"].process.wait(LONGEST)
        fleet.start("kitchen")
        until(fleet.servers["kitchen"].ready)
        drained = fleet.shares()["kitchen"]
        load.more()
        assert fleet.shares()["kitchen"] == drained, "it waits for the administrator"
        assert fleet.front.command("ready", "kitchen", "--wait", "20").returncode == 0
        until(lambda: fleet.shares()["kitchen"] > drained)
    assert_whole(fleet, load, clip_words)

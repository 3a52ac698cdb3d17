"""A bad version and a good one, rolled out while requests come by the gateway: none of them is lost, and what does not work goes no further than one machine."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "default/tests"))

from machines import address, on, until
from service import CLIP, DATA, PROJECT, words

INVENTORY = PROJECT / "molecule/rollout/inventory"
GATEWAY = "hailo-whisper-rollout-gateway"
FIRST, SECOND = NODES = ["hailo-whisper-rollout-1", "hailo-whisper-rollout-2"]
KEY = "sk-of-a-disposable-machine"
BEFORE, THIS, BAD = "0.0.9", "0.1.0", "0.2.0"


def states() -> dict[str, str]:
    return {each["name"]: each["state"] for each in json.loads(on(GATEWAY, "hailo-whisper-gateway status --json"))}


def version(machine: str) -> str:
    """The one that answers, and is installed as a whole."""
    said = json.loads(on(machine, "/etc/ansible/facts.d/hailo_whisper.fact"))
    assert on(machine, "dpkg-query --show --showformat='${Status}' hailo-whisper") == "install ok installed"
    assert on(machine, "dpkg --audit") == ""
    assert said["service"]["version"] == said["version"]
    return str(said["version"])


def ledger(machine: str) -> dict[str, Any]:
    """What the fact tells of the last roll-out."""
    found: dict[str, Any] = json.loads(on(machine, "/etc/ansible/facts.d/hailo_whisper.fact"))["last_rollout"] or {}
    return found


def start(playbook: str, *arguments: str) -> "subprocess.Popen[str]":
    environment = {name: value for name, value in os.environ.items() if name not in ("ANSIBLE_FORCE_COLOR", "PY_COLORS")}
    return subprocess.Popen(
        ["ansible-playbook", "--inventory", INVENTORY, f"playbooks/{playbook}.yml", *arguments],
        cwd=PROJECT,
        env=environment | {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def run(playbook: str, *arguments: str) -> tuple[int, str]:
    """Its exit status and its summary."""
    with start(playbook, *arguments) as process:
        said, _ = process.communicate()
    print(said)
    return process.returncode, said.partition("SUMMARY")[2]


class Load:
    """A client that sends one request after another, and none of them twice."""

    def __init__(self) -> None:
        self._url = f"http://{address(GATEWAY)}/v1/audio/transcriptions"
        self.texts: list[str] = []
        self.failed: list[str] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._client)

    def _client(self) -> None:
        clip = (DATA / "clip.wav").read_bytes()
        while not self._over.is_set():
            try:
                reply = httpx.post(
                    self._url,
                    files={"file": ("clip.wav", clip, "audio/wav")},
                    data={"model": "whisper-1"},
                    headers={"authorization": f"Bearer {KEY}"},
                    timeout=120,
                    trust_env=False,
                )
                self.texts.append(reply.raise_for_status().json()["text"])
            except httpx.HTTPError as error:
                self.failed.append(repr(error))
            self._over.wait(0.3)

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(180)


@pytest.fixture
def load(capfd: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Iterator[Load]:
    """A load while the test goes on, of which at the end nothing may be lost."""
    until(lambda: states() == dict.fromkeys(NODES, "ready"), "all of them are ready")
    with Load() as load:
        yield load
    with capfd.disabled():
        print(f"\n{request.node.name}: {len(load.texts)} requests answered, {len(load.failed)} failed")
    assert load.failed == []
    assert {words(text) for text in load.texts} == {words(CLIP)}
    assert len(load.texts) > 10


@pytest.mark.timeout(1800)
def test_a_bad_version_is_taken_back_and_nobody_else_is_touched(load: Load) -> None:
    untouched = on(SECOND, "systemctl show --property=MainPID hailo-whisper.service; cat /etc/hailo/hailo-whisper.yaml")
    configured = on(FIRST, "cat /etc/hailo/hailo-whisper.yaml /etc/hailo/hailo-whisper.keys")
    # It is never ready, and what is waited for longer is waited for in vain; the version before has to be ready in that time too.
    variables = f"hailo_whisper_version={BAD} hailo_whisper_rollout_why=ticket-7 hailo_whisper_ready_seconds=120"
    status, summary = run("rollout", "--extra-vars", variables)
    assert status == 2, summary
    assert f"{FIRST}  {BEFORE}+deb12u1  {BAD}  rolled back" in summary
    assert f"{SECOND}  {BEFORE}+deb12u1  {BAD}  untouched" in summary
    assert "is not ready after" in summary
    assert "STOPPED" in summary
    assert [version(name) for name in NODES] == [BEFORE] * 2
    assert on(FIRST, "cat /etc/hailo/hailo-whisper.yaml /etc/hailo/hailo-whisper.keys") == configured
    assert on(SECOND, "systemctl show --property=MainPID hailo-whisper.service; cat /etc/hailo/hailo-whisper.yaml") == untouched
    assert (ledger(FIRST)["outcome"], ledger(FIRST)["to"], ledger(FIRST)["why"]) == ("rolled back", BAD, "ticket-7")
    assert ledger(SECOND) == {}
    assert states() == dict.fromkeys(NODES, "ready")


@pytest.mark.timeout(1800)
def test_a_good_version_goes_on_where_the_controller_was_killed(load: Load) -> None:
    """Killed without a last word. What it has begun on the machine, dpkg, goes on there, as it would."""
    process = start("rollout", "--extra-vars", f"hailo_whisper_version={THIS}")
    # While dpkg replaces the files.
    until(lambda: on(FIRST, "find /opt/hailo-whisper -name '*.dpkg-new' | head -n 1"), "the package is being unpacked")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert ledger(FIRST)["outcome"] == "under way"
    assert states()[FIRST] == "drain"
    status, summary = run("rollout", "--extra-vars", f"hailo_whisper_version={THIS}")
    assert status == 0, summary
    assert f"{FIRST}  {BEFORE}+deb12u1  {THIS}  done" in summary
    assert f"{SECOND}  {BEFORE}+deb12u1  {THIS}  done" in summary
    assert [version(name) for name in NODES] == [THIS] * 2
    assert [ledger(name)["outcome"] for name in NODES] == ["done"] * 2
    assert states() == dict.fromkeys(NODES, "ready")


@pytest.mark.timeout(1800)
def test_one_goes_back_and_the_other_stays(load: Load) -> None:
    status, summary = run("rollback", "--limit", SECOND)
    assert status == 0, summary
    assert f"{SECOND}  {THIS}+deb12u1  {BEFORE}+deb12u1  rolled back" in summary
    assert [version(name) for name in NODES] == [THIS, BEFORE]
    assert states() == dict.fromkeys(NODES, "ready")

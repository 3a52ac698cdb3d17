"""Three appliances behind a gateway, used by the official SDK as it comes while they have accidents: nothing is lost, nothing is answered twice."""

import json
import os
import re
import ssl
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import httpx2
import openai
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "default/tests"))

from machines import address, on, until
from service import CLIP, DATA, PROJECT, words

INVENTORY = PROJECT / "molecule/fleet/inventory"
GATEWAY = "hailo-whisper-gateway"
NODES = [f"hailo-whisper-fleet-{number}" for number in (1, 2, 3)]
KEY = "sk-of-a-disposable-machine"


def states() -> dict[str, tuple[str, str | None]]:
    """What is wanted of each, and how it is."""
    return {
        each["name"]: (each["state"], each["health"]) for each in json.loads(on(GATEWAY, "hailo-whisper-gateway status --json"))
    }


def ready() -> set[str]:
    return {name for name, (state, _) in states().items() if state == "ready"}


@pytest.fixture(scope="module")
def url() -> str:
    return f"https://{address(GATEWAY)}"


@pytest.fixture(scope="module")
def trusting() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "authority/ca.crt"))


def version(machine: str) -> str:
    """Which version answers there."""
    return str(
        httpx.get(f"http://{address(machine)}:11437/health", trust_env=False, timeout=30).raise_for_status().json()["version"]
    )


class Load:
    """Clients, each of which sends one request after another, with a name that it keeps when the SDK sends it again."""

    def __init__(self, url: str, context: ssl.SSLContext, clients: int = 3) -> None:
        self._url, self._context = url, context
        self.sent: list[str] = []
        self.texts: list[str] = []
        self.failed: list[str] = []
        self.under_way: set[str] = set()
        self.seconds: list[float] = []
        self.unlogged = 0
        """Lines that were dropped by processes of the gateway's which a reload has replaced."""
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._client) for _ in range(clients)]

    def _client(self) -> None:
        clip = (DATA / "clip.wav").read_bytes()
        with (
            httpx2.Client(verify=self._context, trust_env=False, timeout=120) as way,
            openai.OpenAI(base_url=f"{self._url}/v1", api_key=KEY, http_client=way) as client,
        ):
            while not self._over.is_set():
                name = f"load-{uuid.uuid4().hex}"
                self.sent.append(name)
                self.under_way.add(name)
                began = time.monotonic()
                try:
                    reply = client.audio.transcriptions.create(
                        model="whisper-1", file=("clip.wav", clip), extra_headers={"x-client-request-id": name}
                    )
                    self.texts.append(reply.text)
                    self.seconds.append(time.monotonic() - began)
                except openai.OpenAIError as error:
                    self.failed.append(f"{name}: {error!r} because of {error.__cause__!r}")
                self.under_way.discard(name)

    def more(self, count: int = 6) -> None:
        """Wait until so many more have been answered."""
        wanted = len(self.texts) + len(self.failed) + count
        until(lambda: len(self.texts) + len(self.failed) >= wanted, f"{count} more answers")

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(180)


@pytest.fixture
def load(url: str, trusting: ssl.SSLContext, capfd: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Iterator[Load]:
    """A load while the test goes on, of which at the end nothing may be lost."""
    until(lambda: ready() == set(NODES), "all of them are ready")
    with Load(url, trusting) as load:
        load.more()
        yield load
        load.more()
    with capfd.disabled():
        ordered = sorted(load.seconds)
        p95 = ordered[int(0.95 * (len(ordered) - 1))]
        print(
            f"\n{request.node.name}: {len(ordered)} requests, p50 {statistics.median(ordered):.2f} s, p95 {p95:.2f} s, longest {ordered[-1]:.2f} s"
        )
    assert load.failed == []
    assert len(load.texts) == len(load.sent)
    assert {words(text) for text in load.texts} == {words(CLIP)}
    # The journal comes after the answer. On a busy machine HAProxy rather drops a line than waits for its other thread to have written one.
    end = time.monotonic() + 60
    while len(missing := set(load.sent) - set(answers())) > load.unlogged + unlogged() and time.monotonic() < end:
        time.sleep(1)
    assert len(missing) <= load.unlogged + unlogged(), [line for line in log() if line["client_request_id"] in missing]
    answered = answers()
    assert [line for line in log() if line["client_request_id"] in load.sent and answered[line["client_request_id"]] != 1] == []


def log() -> list[dict[str, Any]]:
    """The gateway's lines of the requests that were sent by clients of a load."""
    lines = on(GATEWAY, "journalctl --unit=haproxy.service --output=cat --no-pager --grep=load-").splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def metrics(path: str = "metrics") -> str:
    """What the gateway tells Prometheus."""
    ask = "import sys, urllib.request as u; print(u.urlopen(f'http://127.0.0.1:8405/{sys.argv[1]}').read().decode())"
    return on(GATEWAY, f'python3 -c "{ask}" {path}')


def unlogged() -> int:
    """How many lines it says to have dropped since it was started or reloaded."""
    (count,) = re.findall(r"^haproxy_process_dropped_logs_total (\d+)$", metrics(), re.MULTILINE)
    return int(count)


def answers() -> Counter[str]:
    """How often each request was answered with its words, by the gateway's log."""
    return Counter(line["client_request_id"] for line in log() if line["status"] == 200)


def playbook(name: str, *arguments: str) -> str:
    """What a playbook says that came to a good end."""
    done = subprocess.run(
        ["ansible-playbook", "--inventory", INVENTORY, f"playbooks/{name}", *arguments],
        cwd=PROJECT,
        env=os.environ | {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_whoever_joins_them_does_not_cut_them_off() -> None:
    """A bridge without an address of its own has another with each machine that comes, and the others send to the one before."""
    asked = subprocess.run(
        ["podman", "network", "inspect", "--format", "{{.NetworkInterface}}", "podman"],
        capture_output=True,
        text=True,
        check=True,
    )
    given = "3"  # NET_ADDR_SET of linux/netdevice.h
    assert Path(f"/sys/class/net/{asked.stdout.strip()}/addr_assign_type").read_text(encoding="ascii").strip() == given


def test_the_playbook_changes_nothing_when_nothing_has_changed() -> None:
    said = playbook("gateway.yml")
    assert "changed=0" in said
    assert NODES[0] in said, "it shows the appliances"


def test_the_files_are_roots_and_the_key_is_roots_alone() -> None:
    shown = on(
        GATEWAY,
        "stat --format '%U %a' /etc/haproxy/hailo-whisper/gateway.pem.key /run/haproxy/hailo-whisper.sock /etc/haproxy/haproxy.cfg",
    )
    assert shown.splitlines() == ["root 600", "root 600", "root 644"]


def test_nobody_comes_in_without_a_key(url: str, trusting: ssl.SSLContext) -> None:
    with httpx.Client(verify=trusting, trust_env=False, timeout=30) as client:
        assert client.get(f"{url}/v1/models").status_code == 401
        assert client.get(f"{url}/v1/models", headers={"authorization": f"Bearer {KEY}"}).json()["data"][0]["id"] == "tiny.en"


def test_it_tells_prometheus_of_its_machines_and_its_certificate() -> None:
    """By the names that the alerts know, in this version of HAProxy too."""
    until(lambda: ready() == set(NODES), "all of them are ready")
    told = metrics()
    for line in (
        f'haproxy_server_status{{proxy="appliances",server="{NODES[0]}",state="UP"}} 1',
        'haproxy_backend_status{proxy="appliances",state="UP"} 1',
        'haproxy_backend_http_responses_total{proxy="appliances",code="5xx"} ',
        "haproxy_process_max_connections 4000",
    ):
        assert line in told
    ends = metrics("certificate").split()[-1]
    assert 800 < (float(ends) - time.time()) / 86400 < 826


def test_a_server_that_is_killed(load: Load) -> None:
    on(NODES[0], "systemctl kill --signal=KILL hailo-whisper.service")
    load.more()


def test_a_machine_that_loses_its_network(load: Load) -> None:
    """What it had is told of within half a minute and sent again by the SDK. The machine itself says nothing any more."""
    on(NODES[1], "ip link set eth0 down")
    had = set(load.under_way)
    try:
        until(lambda: NODES[1] not in ready(), "the gateway has noticed")
        load.more()
        # What it had among them is told of, sent again and answered by another, all while it is away.
        until(lambda: not had & load.under_way, f"an answer to each of {had}")
    finally:
        on(NODES[1], "ip link set eth0 up")
    until(lambda: ready() == set(NODES), "it is back")


def test_a_drained_machine_that_is_upgraded(load: Load) -> None:
    name = NODES[2]
    assert version(name) == "0.0.9"
    package = next((Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "packages").glob("hailo-whisper_*.deb"))
    subprocess.run(["podman", "cp", str(package), f"{name}:/root/"], check=True, capture_output=True)
    on(GATEWAY, f"hailo-whisper-gateway drain {name} --wait 120")
    try:
        # The configuration is the role's, and the package's may have changed.
        keep = "--option Dpkg::Options::=--force-confdef"
        on(name, f"DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends {keep} /root/{package.name}")
        load.unlogged += unlogged()
        on(GATEWAY, "systemctl reload haproxy.service")
        # Also after a reload.
        until(lambda: states()[name] == ("drain", "up"), "it is drained, and well")
    finally:
        on(GATEWAY, f"hailo-whisper-gateway ready {name} --wait 120")
    assert version(name) == version(NODES[0])


def test_a_machine_that_is_restarted_without_a_word_to_the_gateway(load: Load) -> None:
    on(NODES[0], "systemctl restart hailo-whisper.service")
    load.more()


def test_a_machine_that_is_slow_and_then_does_nothing_for_a_while(load: Load) -> None:
    on(NODES[1], "systemctl set-property --runtime hailo-whisper.service CPUQuota=20%")
    try:
        load.more(12)
        on(NODES[1], "systemctl kill --signal=STOP hailo-whisper.service")
        until(lambda: NODES[1] not in ready(), "the gateway has noticed")
        load.more()
    finally:
        on(
            NODES[1],
            "systemctl kill --signal=CONT hailo-whisper.service; systemctl set-property --runtime hailo-whisper.service CPUQuota=",
        )
    until(lambda: ready() == set(NODES), "it is back")


def test_a_machine_whose_disks_are_full(load: Load) -> None:
    """All that the service may write to: it needs none of it to serve, nor to start."""
    places = "/var/lib/hailo-whisper/state /var/cache/hailo-whisper"
    on(
        NODES[2],
        f"for place in {places}; do mount -t tmpfs -o size=64k full $place && "
        "{ dd if=/dev/zero of=$place/full bs=4k 2>/dev/null || true; }; done; systemctl restart hailo-whisper.service",
    )
    try:
        load.more()
        until(lambda: ready() == set(NODES), "it is ready with full disks")
        load.more()
    finally:
        on(NODES[2], f"systemctl stop hailo-whisper.service; umount {places}; systemctl start hailo-whisper.service")


def test_all_of_them_had_their_share() -> None:
    shares = Counter(line["appliance"] for line in log())
    # Each of them was away or slowed for a while, and how fast a busy machine is nobody knows.
    assert min(shares[name] for name in NODES) > 0, shares


def test_a_machine_that_is_taken_off_for_good(load: Load) -> None:
    """It has finished what it had: nobody had to send a request again."""
    said = playbook("decommission.yml", "--limit", NODES[2], "--extra-vars", "hailo_whisper_decommission=1")
    assert f"changed: [{NODES[2]} -> {GATEWAY}" in said
    until(lambda: ready() == set(NODES[:2]), "the others serve")
    load.more()
    assert [line for line in log() if line["client_request_id"] in load.sent and line["status"] != 200] == []

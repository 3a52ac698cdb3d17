"""The gateway's HAProxy before appliances that are played: what it passes on, what it never sends twice, and what it says itself."""

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import openai
import pytest
from gateways import Gateway, gateway
from playing_appliance import Appliance, appliance
from polling import until
from ports import free_port

# Hours become seconds, and the looks are more frequent.
QUICK = {"timeout client 80s": "timeout client 2s", "inter 2s": "inter 200ms", "timeout check 3s": "timeout check 1s"}
KEY = b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
MANY = b"x" * 30_000_000
KEEPALIVE_TIMER = 2
"""In /proc/net/tcp."""


@pytest.fixture(scope="module")
def played() -> Iterator[list[Appliance]]:
    with appliance() as one, appliance() as two:
        yield [one, two]


@pytest.fixture(scope="module")
def running(played: list[Appliance], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    hosts = {name: each.host for name, each in zip(("kitchen", "office"), played, strict=True)}
    with gateway(tmp_path_factory.mktemp("gateway") / "gateway", hosts, QUICK) as started:
        yield started


@pytest.fixture
def front(running: Gateway, played: list[Appliance]) -> Iterator[Gateway]:
    """The gateway with both appliances ready, who have seen nothing yet."""
    until(lambda: running.ready() == {"kitchen", "office"})
    for each in played:
        each.seen.clear()
        each.go.clear()
        each.gone.clear()
    yield running
    for each in played:
        each.ready, each.full = True, False
    for name in ("kitchen", "office"):
        assert running.command("ready", name).returncode == 0


def error(reply: httpx.Response) -> dict[str, str | None]:
    """The error of a reply, which must have the shape of OpenAI's, a sentence and an id."""
    found: dict[str, str | None] = reply.json()["error"]
    assert set(found) == {"message", "type", "param", "code"}
    assert str(found["message"]).endswith(".")
    assert reply.headers["x-request-id"].startswith("gw_")
    return found


def raw(front: Gateway, request: bytes) -> bytes:
    """The reply to bytes that no client would send, to the end of the connection."""
    with socket.create_connection(("127.0.0.1", front.port), timeout=30) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def probed(front: Gateway, played: list[Appliance]) -> set[str]:
    """Of which of its connections the gateway would be asking within ten seconds whether the other end is there."""
    found = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, _, timer, *_ = line.split()
        kind, _, ticks = timer.partition(":")
        if int(kind) == KEEPALIVE_TIMER and int(ticks, 16) <= 10 * os.sysconf("SC_CLK_TCK"):
            found |= {"client"} if _port(local) == front.port else set()
            found |= {"appliance"} if _port(remote) in [each.port for each in played] else set()
    return found


def _port(end: str) -> int:
    return int(end.partition(":")[2], 16)


class TestWhatIsPassedOn:
    def test_key_and_ids_and_forwarding(self, front: Gateway, played: list[Appliance]) -> None:
        sent = {"authorization": "Bearer sk-mine", "x-client-request-id": 'mine"1', "x-forwarded-for": "192.0.2.7"}
        reply = front.client.post("/v1/audio/transcriptions", content=b"abc", headers=sent)
        assert (reply.json(), reply.headers["x-request-id"]) == ({"length": 3}, "req_played")
        ((_, headers, _),) = played[0].seen + played[1].seen
        assert headers["authorization"] == "Bearer sk-mine"
        assert headers["x-client-request-id"] == 'mine"1'
        assert headers["x-forwarded-for"] in ("192.0.2.7", "127.0.0.1")
        assert headers["x-forwarded-proto"] == "http"
        until(lambda: [line for line in front.log() if line["request_id"] == "req_played"])
        (line,) = [line for line in front.log() if line["client_request_id"] == 'mine"1']
        assert (line["path"], line["status"], line["end"]) == ("/v1/audio/transcriptions", 200, "--")
        assert line["appliance"] in ("kitchen", "office")
        assert "sk-mine" not in (front.folder / "log").read_text()

    @pytest.mark.parametrize("chunked", [False, True])
    def test_a_large_body(self, front: Gateway, chunked: bool) -> None:
        body = (MANY[start : start + 1_000_000] for start in range(0, len(MANY), 1_000_000))
        reply = front.client.post("/v1/audio/transcriptions", content=body if chunked else MANY)
        assert reply.json() == {"length": len(MANY)}

    def test_an_answer_that_takes_longer_than_a_client_may_be_silent(self, front: Gateway) -> None:
        assert front.client.post("/slow/4", content=b"abc").status_code == 200

    def test_every_event_of_a_stream_at_once(self, front: Gateway, played: list[Appliance]) -> None:
        with front.client.stream("POST", "/stream", content=b"abc") as reply:
            lines = reply.iter_lines()
            assert next(lines) == 'data: {"delta": "first"}'
            # The appliance has not even written the second one.
            for each in played:
                each.go.set()
            assert [line for line in lines if line] == ['data: {"delta": "second"}']

    def test_a_websocket(self, front: Gateway) -> None:
        with socket.create_connection(("127.0.0.1", front.port), timeout=10) as connection:
            connection.sendall(b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n" + KEY)
            assert b" 101 " in connection.recv(4096)
            for word in (b"one", b"two"):
                connection.sendall(word)
                assert connection.recv(4096) == word.upper()
            # Longer than anybody may be silent who is not on a websocket.
            threading.Event().wait(3)
            connection.sendall(b"three")
            assert connection.recv(4096) == b"THREE"

    def test_both_ends_are_asked_whether_they_are_there_while_they_are_silent(
        self, front: Gateway, played: list[Appliance]
    ) -> None:
        """Else a client or an appliance that was switched off would be waited for until a deadline of hours."""
        with front.client.stream("POST", "/stream", content=b"abc") as reply:
            until(lambda: probed(front, played) == {"client", "appliance"})
            for each in played:
                each.go.set()
            assert len([line for line in reply.iter_lines() if line]) == 2

    def test_that_a_client_has_gone_away(self, front: Gateway, played: list[Appliance]) -> None:
        with contextlib.suppress(httpx.ReadTimeout):
            front.client.post("/wait", content=b"abc", timeout=0.5)
        until(lambda: any(each.gone.is_set() for each in played))


class TestWhatIsSentOnce:
    @pytest.mark.parametrize("path", ["/cut", "/part"])
    def test_a_request_that_was_lost_after_a_byte_of_it_was_sent(
        self, front: Gateway, played: list[Appliance], path: str
    ) -> None:
        for _ in range(10):
            for each in played:
                each.seen.clear()
            try:
                reply = front.client.post(path, content=MANY[:200_000])
                break
            except httpx.TransportError:
                # The reply to somebody who is still sending can be lost in the reset that follows it. Sent again it was not.
                assert len(played[0].seen + played[1].seen) == 1
        assert reply.status_code == 502
        assert error(reply)["code"] == "appliance_lost"
        assert reply.headers["retry-after"] == "1"
        assert len(played[0].seen + played[1].seen) == 1

    def test_what_an_appliance_refuses_for_now(self, front: Gateway, played: list[Appliance]) -> None:
        assert front.client.post("/busy", content=b"abc").json() == {"error": {"message": "loading"}}
        assert len(played[0].seen + played[1].seen) == 1

    def test_the_official_sdk_sends_it_again_by_itself(self, front: Gateway, played: list[Appliance]) -> None:
        with (
            openai.OpenAI(base_url=front.url, api_key="sk-mine", max_retries=1) as client,
            pytest.raises(openai.InternalServerError),
        ):
            client.post("/cut", cast_to=object, body={})
        assert len(played[0].seen + played[1].seen) == 2, "once more, as its max_retries says"


class TestWhoGetsNothing:
    def test_an_appliance_that_is_not_ready_and_gets_requests_again_when_it_is(
        self, front: Gateway, played: list[Appliance]
    ) -> None:
        played[0].ready = False
        until(lambda: front.ready() == {"office"})
        assert {front.client.post("/echo", content=b"a").status_code for _ in range(10)} == {200}
        assert (len(played[0].seen), len(played[1].seen)) == (0, 10)
        assert front.client.get("/health/ready").json() == {"status": "ready", "reason": None, "ready": 1, "appliances": 2}
        played[0].ready = True
        until(lambda: front.ready() == {"kitchen", "office"})

    def test_one_that_is_not_ready_any_more_finishes_what_it_has(self, front: Gateway, played: list[Appliance]) -> None:
        with front.client.stream("POST", "/stream", content=b"abc") as reply:
            for each in played:
                each.ready = False
            until(lambda: front.ready() == set())
            for each in played:
                each.go.set()
            assert [line for line in reply.iter_lines() if line][-1] == 'data: {"delta": "second"}'

    def test_one_that_is_full_gets_nothing_until_it_has_room_and_is_not_down(
        self, front: Gateway, played: list[Appliance]
    ) -> None:
        """It has fewer requests than its neighbour, for it refuses the others, and would have all of them."""
        with front.client.stream("POST", "/stream", content=b"abc") as reply:
            played[0].full = True
            until(lambda: front.ready() == {"office"})
            found = front.appliances()["kitchen"]
            assert (found["state"], found["health"], found["check"].split()[:2]) == ("full", "up", ["L7OKC", "404"])
            metrics = httpx.get(f"http://127.0.0.1:{front.statistics}/metrics", trust_env=False).text
            for word, number in (("UP", 0), ("DOWN", 0), ("NOLB", 1)):
                assert f'haproxy_server_status{{proxy="appliances",server="kitchen",state="{word}"}} {number}' in metrics
            before = len(played[0].seen)
            assert {front.client.post("/echo", content=b"a").status_code for _ in range(10)} == {200}
            assert len(played[0].seen) == before
            for each in played:
                each.go.set()
            assert len([line for line in reply.iter_lines() if line]) == 2, "it finishes what it has"
        front.reload()
        until(lambda: front.command("status").returncode == 0 and front.appliances()["kitchen"]["state"] == "full")
        # It serves: who has upgraded it need not take it back.
        assert front.command("ready", "kitchen", "--wait", "5").returncode == 0
        played[0].full = False
        until(lambda: front.ready() == {"kitchen", "office"})

    def test_one_that_is_full_and_drained_or_away_is_told_to_be_so(self, front: Gateway, played: list[Appliance]) -> None:
        played[0].full = True
        until(lambda: front.appliances()["kitchen"]["state"] == "full")
        assert front.command("drain", "kitchen").returncode == 0
        assert [front.appliances()["kitchen"][what] for what in ("state", "health")] == ["drain", "up"]
        assert front.command("ready", "kitchen").returncode == 0
        played[0].ready = False
        until(lambda: front.appliances()["kitchen"]["state"] == "down")
        # HAProxy takes none back that is full; it gets requests when it has room.
        played[0].ready = True
        until(lambda: front.appliances()["kitchen"]["state"] == "full")
        played[0].full = False
        until(lambda: front.ready() == {"kitchen", "office"})

    def test_all_of_them_are_full(self, front: Gateway, played: list[Appliance]) -> None:
        for each in played:
            each.full = True
        until(lambda: front.ready() == set())
        reply = front.client.post("/v1/audio/transcriptions", content=b"abc")
        assert (reply.status_code, error(reply)["code"], reply.headers["retry-after"]) == (503, "not_ready", "5")
        assert "each is full or not ready" in str(error(reply)["message"])
        ready = front.client.get("/health/ready")
        assert (ready.status_code, "each is full or not ready" in ready.json()["reason"]) == (503, True)

    def test_nobody_is_ready(self, front: Gateway, played: list[Appliance]) -> None:
        for each in played:
            each.ready = False
        until(lambda: front.ready() == set())
        reply = front.client.post("/v1/audio/transcriptions", content=MANY)
        assert (reply.status_code, error(reply)["code"], reply.headers["retry-after"]) == (503, "not_ready", "5")
        ready = front.client.get("/health/ready")
        assert (ready.status_code, ready.json()["status"], ready.json()["ready"]) == (503, "failed", 0)
        assert ready.headers["retry-after"] == "5"
        assert front.client.get("/health").json() == {"status": "ok"}

    def test_one_that_is_drained_finishes_what_it_has(self, front: Gateway, played: list[Appliance]) -> None:
        with front.client.stream("POST", "/stream", content=b"abc") as reply:
            (name,) = [name for name, each in front.appliances().items() if each["requests"]]
            late = front.command("drain", name, "--wait", "0.5")
            assert (late.returncode, "still has 1 requests after 0.5 s" in late.stderr) == (1, True)
            assert {front.client.post("/echo", content=b"a").status_code for _ in range(5)} == {200}
            before = [each.seen for each in played]
            assert sorted(map(len, before)) == [1, 5]
            for each in played:
                each.go.set()
            assert len([line for line in reply.iter_lines() if line]) == 2
        assert front.command("drain", name, "--wait", "10").returncode == 0
        assert front.appliances()[name]["state"] == "drain"
        assert front.command("ready", name, "--wait", "10").returncode == 0
        assert front.ready() == {"kitchen", "office"}


class TestItself:
    def test_metrics_are_the_appliances_own(self, front: Gateway, played: list[Appliance]) -> None:
        reply = front.client.get("/metrics")
        assert (reply.status_code, error(reply)["code"]) == (404, "unknown_url")
        assert not played[0].seen + played[1].seen

    def test_its_own_are_on_the_statistics_port(self, front: Gateway) -> None:
        base = f"http://127.0.0.1:{front.statistics}"
        assert (
            'haproxy_server_status{proxy="appliances",server="kitchen",state="UP"} 1'
            in httpx.get(f"{base}/metrics", trust_env=False).text
        )
        assert "Statistics Report" in httpx.get(base, trust_env=False).text
        # Plain HTTP has none.
        assert httpx.get(f"{base}/certificate", trust_env=False).text == "# No certificate.\n"

    @pytest.mark.parametrize("sent", [b"this is no HTTP\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"x" * 40_000 + b"\r\n\r\n"])
    def test_what_is_no_http_reaches_nobody(self, front: Gateway, played: list[Appliance], sent: bytes) -> None:
        """HAProxy 2.6 has words of its own for it, whatever the configuration says."""
        assert raw(front, sent).startswith(b"HTTP/1.1 400 ")
        assert not played[0].seen + played[1].seen

    def test_a_reload_under_load_loses_no_request_and_keeps_who_is_drained(self, front: Gateway, played: list[Appliance]) -> None:
        answers: list[object] = []
        done = threading.Event()

        def send(keep: bool) -> None:
            limits = httpx.Limits(max_keepalive_connections=None if keep else 0)
            with httpx.Client(base_url=front.url, timeout=30, limits=limits, trust_env=False) as client:
                while not done.is_set():
                    try:
                        answers.append(client.post("/v1/audio/transcriptions", content=b"x" * 100_000).status_code)
                    except httpx.HTTPError as failed:
                        answers.append(repr(failed))

        assert front.command("drain", "office", "--wait", "10").returncode == 0
        before = len(played[1].seen)
        senders = [threading.Thread(target=send, args=(keep,)) for keep in (True, False)]
        for sender in senders:
            sender.start()
        try:
            for _ in range(2):
                count = len(answers)
                until(lambda seen=count: len(answers) > seen + 20)  # type: ignore[misc]
                front.reload()
                until(lambda: not (front.folder / "admin.sock").exists() or front.command("status").returncode == 0)
        finally:
            count = len(answers)
            until(lambda: len(answers) > count + 20)
            done.set()
            for sender in senders:
                sender.join(30)
        assert set(answers) == {200}
        assert front.appliances()["office"]["state"] == "drain"
        assert len(played[1].seen) == before, "it is still drained"


class TestAnAddressThatChanges:
    """HAProxy believes the state that was kept before it believes its configuration."""

    @pytest.mark.parametrize(
        ("how", "before", "after"),
        [("reload", "127.0.0.1", "127.0.0.1"), ("restart", "127.0.0.1", "localhost"), ("reload", "localhost", "127.0.0.1")],
    )
    def test_it_is_used_and_who_is_drained_stays_so(
        self, played: list[Appliance], tmp_path: Path, how: str, before: str, after: str
    ) -> None:
        old, new = f"{before}:{played[0].port}", f"{after}:{played[1].port}"
        gone = f"127.0.0.1:{free_port()}"
        hosts = {
            name: played[0].host | {"hailo_whisper_gateway_address": address}
            for name, address in (("kitchen", old), ("office", f"127.0.0.1:{played[1].port}"), ("attic", gone))
        }
        with gateway(tmp_path / "gateway", hosts, {"inter 2s": "inter 200ms"}) as front:
            until(lambda: front.ready() == {"kitchen", "office"})
            assert front.command("drain", "office").returncode == 0
            assert front.command("save").returncode == 0
            config = front.folder / "haproxy.cfg"
            lines = [line for line in config.read_text().splitlines() if " attic " not in line]
            config.write_text("\n".join(lines).replace(f" kitchen {old} ", f" kitchen {new} ") + "\n")
            for each in played:
                each.seen.clear()
            getattr(front, how)()
            until(lambda: "attic" not in front.appliances())
            until(lambda: front.ready() == {"kitchen"})
            assert front.appliances()["kitchen"]["address"].rpartition(":")[2] == str(played[1].port)
            assert front.client.post("/echo", content=b"a").status_code == 200
            assert [len(each.seen) for each in played] == [0, 1]
            assert front.appliances()["office"]["state"] == "drain"


class TestTheCommand:
    def test_a_name_that_is_not_there(self, front: Gateway) -> None:
        done = front.command("drain", "attic")
        assert done.returncode == 1
        assert "There is no appliance attic behind this gateway: there are kitchen, office." in done.stderr

    def test_the_table(self, front: Gateway) -> None:
        lines = front.command("status").stdout.splitlines()
        assert lines[0].split() == ["APPLIANCE", "ADDRESS", "STATE", "HEALTH", "REQUESTS", "CHECK"]
        assert lines[1].split()[:1] + lines[1].split()[2:5] == ["kitchen", "ready", "up", "0"]

    def test_one_that_is_drained_and_down_is_said_to_be_both(self, front: Gateway, played: list[Appliance]) -> None:
        """Who takes `down` for its state would put it back, though somebody has drained it by hand."""

        def said() -> tuple[str, str | None]:
            found = front.appliances()["kitchen"]
            return found["state"], found["health"]

        assert said() == ("ready", "up")
        assert front.command("drain", "kitchen").returncode == 0
        assert said() == ("drain", "up")
        played[0].ready = False
        until(lambda: said() == ("drain", "down"))
        assert front.command("ready", "kitchen").returncode == 0
        assert said() == ("down", "down")

    def test_nothing_is_known_of_the_health_of_one_in_maintenance(self, front: Gateway) -> None:
        with socket.socket(socket.AF_UNIX) as administration:
            administration.connect(str(front.folder / "admin.sock"))
            administration.sendall(b"set server appliances/kitchen state maint\n")
            assert administration.recv(100).strip() == b""
        found = front.appliances()["kitchen"]
        assert (found["state"], found["health"]) == ("maint", None)
        assert front.command("status").stdout.splitlines()[1].split()[2:4] == ["maint", "-"]

    def test_one_that_does_not_get_ready(self, front: Gateway, played: list[Appliance]) -> None:
        played[0].ready = False
        until(lambda: front.ready() == {"office"})
        done = front.command("ready", "kitchen", "--wait", "0.3")
        assert done.returncode == 1
        assert "kitchen takes no requests after 0.3 s: L7STS 503" in done.stderr

    def test_no_haproxy(self, front: Gateway, tmp_path: Path) -> None:
        done = front.command("--socket", str(tmp_path / "none.sock"), "status")
        assert done.returncode == 1
        assert "See systemctl status haproxy." in done.stderr

    def test_a_state_that_cannot_be_kept(self, front: Gateway, tmp_path: Path) -> None:
        done = front.command("--state", str(tmp_path / "none/state"), "save")
        assert (done.returncode, "a reload forgets who is drained" in done.stderr) == (1, True)

    def test_many_at_once_as_in_a_batch_of_a_roll_out(self, front: Gateway) -> None:
        orders = [(order, name) for order in ("drain", "ready") for name in ("kitchen", "office")] * 6
        with ThreadPoolExecutor(len(orders)) as together:
            done = list(together.map(lambda order: front.command(*order), orders))
        assert [each.stderr for each in done if each.returncode != 0] == []
        # The columns srv_name and srv_admin_state of HAProxy's "show servers state"; 8 is SRV_ADMF_FDRAIN.
        kept = [
            line.split()
            for line in (front.folder / "state").read_text().splitlines()
            if line[:1].isdigit() and " appliances " in line
        ]
        assert {row[3]: bool(int(row[6]) & 8) for row in kept} == {
            name: each["state"] == "drain" for name, each in front.appliances().items()
        }

    def test_a_configuration_that_is_not_there(self, front: Gateway, tmp_path: Path) -> None:
        done = front.command("--config", str(tmp_path / "none.cfg"), "save")
        assert (done.returncode, "none.cfg cannot be read: No such file" in done.stderr) == (1, True)


class TestTime:
    def test_an_appliance_that_does_not_answer_in_time(self, played: list[Appliance], tmp_path: Path) -> None:
        limits = {"limits": {"deadline_seconds": 1, "deadline_factor": 1, "duration_seconds": 1, "stall_seconds": 1}}
        hosts = {"kitchen": played[0].host | {"hailo_whisper_config": limits}}
        quick = {"timeout server 62s": "timeout server 1s", "timeout http-request 20s": "timeout http-request 1s"}
        with gateway(tmp_path / "gateway", hosts, quick) as front:
            reply = front.client.post("/slow/3", content=b"abc")
            assert (reply.status_code, error(reply)["code"]) == (504, "deadline_exceeded")
            assert "within 62 s" in str(error(reply)["message"])
            assert reply.headers["x-should-retry"] == "false"
            assert raw(front, b"GET / HTTP/1.1\r\nHost:").startswith(b"HTTP/1.1 408 ")

    def test_one_that_nobody_listens_for_costs_no_request(self, played: list[Appliance], tmp_path: Path) -> None:
        played[0].seen.clear()
        nobody = {"hailo_whisper_gateway_address": f"127.0.0.1:{free_port()}", "hailo_whisper_keys": {"a": "sk-of-a-test"}}
        # No check comes in time.
        with gateway(tmp_path / "gateway", {"kitchen": played[0].host, "attic": nobody}, {"inter 2s": "inter 1m"}) as front:
            assert {front.client.post("/echo", content=MANY[:99_999]).status_code for _ in range(10)} == {200}
            assert len(played[0].seen) == 10

"""The deployed service: up, hardened, right in its words, and soon back whatever is done to it."""

import json
import re
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
import pytest
from testinfra.host import Host

from service import Service

# Connects to the address and port given, and prints the name of the error, if there is one.
CONNECT = (
    "import errno, socket, sys; s = socket.socket(); s.settimeout(5); "
    "print(errno.errorcode.get(s.connect_ex((sys.argv[1], int(sys.argv[2]))), 'connected'))"
)


def main_pid(host: Host) -> int:
    return int(host.check_output("systemctl show --property=MainPID --value hailo-whisper.service"))


def worker_pid(host: Host) -> int:
    return int(host.check_output("pgrep --parent %s --full hailo_whisper.engines.worker", str(main_pid(host))))


@pytest.mark.parametrize("unit", ["hailo-whisper.socket", "hailo-whisper.service"])
def test_unit_is_active_and_enabled(host: Host, unit: str) -> None:
    assert host.service(unit).is_running
    assert host.service(unit).is_enabled


def test_the_clip_has_its_words(service: Service, wer: Callable[[str], float]) -> None:
    assert wer(service.transcribe()) <= 0.1


def test_models_are_listed(service: Service) -> None:
    assert service.client.get(service.url("/v1/models")).raise_for_status().json()["object"] == "list"


def test_exposure(host: Host) -> None:
    said = host.run("systemd-analyze security --no-pager hailo-whisper.service").stdout
    match = re.search(r"Overall exposure level for hailo-whisper.service: ([0-9.]+)", said)
    assert match, said
    assert float(match[1]) <= 0.3


def test_the_service_reaches_no_network(host: Host, service: Service) -> None:
    enter = f"nsenter --target {main_pid(host)} --net --"
    # The machine itself reaches that address, so the refusal is the doing of the namespace.
    assert host.check_output(f'python3 -c "{CONNECT}" {service.address} 11437') == "connected"
    assert host.check_output(f'{enter} python3 -c "{CONNECT}" {service.address} 11437') == "ENETUNREACH"
    links = json.loads(host.check_output(f"{enter} ip --json link"))
    assert [link["ifname"] for link in links] == ["lo"]


@dataclass
class Outcome:
    """What became of requests that were sent one after another."""

    answered: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def under_requests(service: Service, disturb: Callable[[], None], requests: int = 12) -> Outcome:
    """Send requests one after another, disturb the service during the third, and count."""
    outcome = Outcome()
    third = threading.Event()

    def send() -> None:
        for number in range(requests):
            if number == 2:
                third.set()
            try:
                outcome.answered.append(service.transcribe())
            except httpx.HTTPError as error:
                outcome.failed.append(repr(error))

    sender = threading.Thread(target=send)
    sender.start()
    assert third.wait(120)
    time.sleep(0.1)
    disturb()
    sender.join(300)
    assert not sender.is_alive()
    return outcome


@pytest.mark.parametrize("victim", [worker_pid, main_pid], ids=["worker", "server"])
def test_a_kill_costs_at_most_the_request_in_flight(
    host: Host, service: Service, wer: Callable[[str], float], victim: Callable[[Host], int]
) -> None:
    before = victim(host)
    outcome = under_requests(service, lambda: host.check_output(f"kill -9 {before}"))
    assert len(outcome.failed) <= 1, outcome.failed
    assert all(wer(text) <= 0.1 for text in outcome.answered)
    service.await_ready()
    assert victim(host) != before


def test_a_restart_under_load_loses_no_request(host: Host, name: str, service: Service, wer: Callable[[str], float]) -> None:
    """200 requests of four clients, of whom two keep their connections, and two restarts meanwhile; on one machine, and fewer on the others."""
    clients, each = 4, 50 if name == "hailo-whisper-debian13" else 15
    outcome = Outcome()

    def send(keep: bool) -> None:
        for _ in range(each):
            try:
                outcome.answered.append(service.transcribe(keep=keep))
            except httpx.HTTPError as error:
                outcome.failed.append(repr(error))

    before = main_pid(host)
    senders = [threading.Thread(target=send, args=(number % 2 == 0,)) for number in range(clients)]
    for sender in senders:
        sender.start()
    for wanted in (clients * each // 10, clients * each // 2):
        while len(outcome.answered) + len(outcome.failed) < wanted:
            time.sleep(0.05)
        host.check_output("systemctl restart hailo-whisper.service")
    for sender in senders:
        sender.join(600)
    assert outcome.failed == []
    assert len(outcome.answered) == clients * each
    assert all(wer(text) <= 0.1 for text in outcome.answered)
    assert main_pid(host) != before


def test_a_reload_takes_a_changed_configuration_and_keeps_the_process(host: Host, service: Service) -> None:
    rendered = "/etc/xdg/hailo-whisper/hailo-whisper.json"
    before = main_pid(host)
    host.check_output(f"cp {rendered} {rendered}.kept")
    try:
        host.check_output(f'sed --in-place \'s/"duration_seconds": [0-9]*/"duration_seconds": 2/\' {rendered}')
        host.check_output("systemctl reload hailo-whisper.service")
        # The signal is heard a moment after systemctl has come back.
        code, end = None, time.monotonic() + 30
        while code is None and time.monotonic() < end:
            try:
                service.transcribe()
                time.sleep(0.1)
            except httpx.HTTPStatusError as error:
                code = error.response.json()["error"]["code"]
        assert code == "audio_too_long"
    finally:
        host.check_output(f"mv {rendered}.kept {rendered}")
        host.check_output("systemctl reload hailo-whisper.service")
    service.await_ready()
    assert main_pid(host) == before
    assert host.service("hailo-whisper.service").is_running


def test_a_start_without_its_model_says_so_and_takes_it_when_it_comes(
    host: Host, service: Service, wer: Callable[[str], float]
) -> None:
    folder = "/var/lib/hailo-whisper"
    name = service.client.get(service.url("/v1/models")).raise_for_status().json()["data"][0]["id"]
    host.check_output(f"mv {folder}/models/{name} {folder}/away")
    try:
        host.check_output("systemctl restart hailo-whisper.service")
        started = main_pid(host)
        ready = service.client.get(service.url("/health/ready"))
        assert (ready.status_code, ready.json()["status"]) == (503, "failed")
        cure = f"hailo-whisper models pull {name}"
        assert cure in ready.json()["reason"]
        assert cure in host.check_output("systemctl show --property=StatusText hailo-whisper.service")
        assert service.client.get(service.url("/health")).status_code == 200
        with pytest.raises(httpx.HTTPStatusError) as caught:
            service.transcribe()
        assert caught.value.response.status_code == 503
        assert cure in caught.value.response.json()["error"]["message"]
    finally:
        host.check_output(f"mv {folder}/away {folder}/models/{name}")
    service.await_ready()
    assert main_pid(host) == started
    assert wer(service.transcribe()) <= 0.1


def test_a_reboot_brings_the_service_back(host: Host, name: str, wer: Callable[[str], float]) -> None:
    # The moment that the machine's first process began, in the clock of the kernel below, which goes on.
    began = "cut --delimiter=' ' --fields=22 /proc/1/stat"
    before = host.check_output(began)
    subprocess.run(["podman", "restart", "--time", "20", name], check=True, capture_output=True)
    service = Service(name)
    service.await_ready()
    assert host.check_output(began) != before
    assert wer(service.transcribe()) <= 0.1

"""Who may use a deployed service: whoever has a key of its file, and nobody else."""

import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from testinfra.host import Host

from service import KEY_FILE, Service


def status(service: Service, key: str | None, path: str = "/v1/models") -> int:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return httpx.get(service.url(path), headers=headers, timeout=60, trust_env=False).status_code


def until(condition: Callable[[], bool]) -> None:
    """The service looks at its keys once a second."""
    end = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.2)


def test_a_key_is_needed(service: Service) -> None:
    assert service.key.startswith("sk-")
    assert status(service, service.key) == 200
    assert status(service, None) == 401
    assert status(service, "sk-nobody") == 401


def test_whoever_watches_needs_none(service: Service) -> None:
    for path in ("/health", "/health/ready", "/metrics", "/openapi.json"):
        assert status(service, None, path) == 200


def test_keys_come_and_go_without_a_restart(host: Host, service: Service) -> None:
    key = host.check_output("hailo-whisper keys add visitor 2>/dev/null")
    try:
        until(lambda: status(service, key) == 200)
        assert key not in host.check_output(f"cat {KEY_FILE}"), "its sum is kept, and not the key"
        assert "visitor" in host.check_output("hailo-whisper keys list")
    finally:
        host.check_output("hailo-whisper keys remove visitor")
    until(lambda: status(service, key) == 401)
    assert status(service, service.key) == 200
    owned = host.file(KEY_FILE)
    assert (owned.user, owned.group, oct(owned.mode)) == ("root", "hailo-whisper", oct(0o640))
    journal = host.check_output("journalctl --unit=hailo-whisper.service --output=cat --no-pager")
    assert '"key": "visitor"' in journal
    assert key not in journal
    assert service.key not in journal


@pytest.fixture
def opened(host: Host) -> Iterator[None]:
    """Somebody has made the key file readable for everybody."""
    host.check_output(f"chmod 0644 {KEY_FILE}")
    yield
    host.check_output(f"chmod 0640 {KEY_FILE}")


def test_keys_that_everybody_can_read_are_none(host: Host, service: Service, opened: None) -> None:
    until(lambda: status(service, service.key) == 503)
    ready = service.client.get(service.url("/health/ready")).json()
    assert ready["status"] == "keys_unavailable"
    assert f"Run `chmod o= {KEY_FILE}`" in ready["reason"]
    host.check_output(f"chmod 0640 {KEY_FILE}")
    until(lambda: status(service, service.key) == 200)
    service.await_ready()

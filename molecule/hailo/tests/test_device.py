"""The deployed, hardened service and an NPU that comes and goes, is closed to it, or is somebody else's. The NPU is emulated."""

import subprocess
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from testinfra.host import Host

from service import CLIP, Service, words

NODES = ["/dev/hailo0", "/dev/h1x-0"]
# Takes the device for itself, as hailo-ollama does.
SELFISH = "import hailo_platform, time; vdevice = hailo_platform.VDevice(); print('mine', flush=True); time.sleep(120)"


def main_pid(host: Host) -> str:
    return str(host.check_output("systemctl show --property=MainPID --value hailo-whisper.service"))


def plug(host: Host, node: str, mode: str = "0660", group: str = "hailo") -> None:
    """Have the device there, with a node as the role's rule makes it. udev does not run in a container."""
    host.check_output(f"rm --force {' '.join(NODES)}")
    host.check_output(f"mknod --mode={mode} {node} c 1 3 && chgrp {group} {node}")


@pytest.fixture(autouse=True)
def plugged(host: Host, service: Service) -> Iterator[None]:
    """The device is there and the service ready, at the end too."""
    plug(host, NODES[0])
    service.await_ready()
    yield
    plug(host, NODES[0])
    service.await_ready()


def await_reason(service: Service, *said: str, seconds: float = 40) -> str:
    """Wait until readiness is 503 and gives a reason that says all of this."""
    end = time.monotonic() + seconds
    while True:
        reply = service.client.get(service.url("/health/ready"))
        reason = str(reply.json()["reason"])
        if reply.status_code == 503 and all(part in reason for part in said):
            assert service.client.get(service.url("/health")).status_code == 200
            return reason
        assert time.monotonic() < end, reply.text
        time.sleep(0.2)


def await_words(service: Service) -> None:
    """Wait until it is back, by itself, and transcribes."""
    service.await_ready()
    assert words(service.transcribe()) == words(CLIP)


def test_the_words_are_the_npus(host: Host, service: Service) -> None:
    assert words(service.transcribe()) == words(CLIP)
    (model,) = service.client.get(service.url("/v1/models")).raise_for_status().json()["data"]
    # What the CPU's engine does, the NPU's cannot.
    assert (model["capabilities"]["words"], model["capabilities"]["logprobs"]) == (False, False)
    worker = host.check_output("pgrep --parent %s --full hailo_whisper.engines.worker", main_pid(host))
    assert NODES[0] in host.check_output(f"ls -l /proc/{worker}/fd")


def test_a_device_that_is_pulled_out_and_comes_back_by_the_other_name(host: Host, service: Service) -> None:
    """As it does after an upgrade of the driver to 5.3."""
    before = main_pid(host)
    host.check_output(f"rm {NODES[0]}")
    with pytest.raises(httpx.HTTPStatusError) as caught:
        service.transcribe()
    assert caught.value.response.status_code in (500, 503)
    await_reason(service, "No Hailo device was found", "`lspci -d 1e60:`", "looked for again")
    with pytest.raises(httpx.HTTPStatusError) as caught:
        service.transcribe()
    assert caught.value.response.status_code == 503
    assert "No Hailo device was found" in caught.value.response.json()["error"]["message"]
    plug(host, NODES[1])
    await_words(service)
    assert main_pid(host) == before, "the service itself has gone on all the time"


def test_a_device_that_is_closed_to_the_service(host: Host, service: Service) -> None:
    plug(host, NODES[0], mode="0600", group="root")
    host.check_output("systemctl restart hailo-whisper.service")
    reason = await_reason(service, "lack of permission", "HailoRT error 36")
    assert "member of the group `hailo`" in reason
    assert "the role `accelerator` sees to both" in reason
    plug(host, NODES[0])
    await_words(service)


@pytest.fixture
def rival(host: Host) -> Iterator[Callable[[], None]]:
    """Another service, which takes the device for itself as soon as it is free."""

    def start() -> None:
        settings = "--setenv=HAILO_EMULATOR_NODES=/dev --setenv=HAILO_EMULATOR_FOLDER=/var/lib/hailo-whisper/state/emulator"
        host.check_output(f'systemd-run --unit=hailo-ollama {settings} /opt/hailo-whisper/venv/bin/python -c "{SELFISH}"')
        end = time.monotonic() + 20
        while "mine" not in host.run("journalctl --unit=hailo-ollama.service --output=cat --no-pager").stdout:
            assert time.monotonic() < end, "it did not get the device"
            time.sleep(0.2)

    yield start
    host.run("systemctl stop hailo-ollama.service")


def test_a_device_that_another_service_has(host: Host, service: Service, rival: Callable[[], None]) -> None:
    host.check_output("systemctl stop hailo-whisper.service")
    rival()
    subprocess.run(["podman", "exec", host.backend.name, "systemctl", "start", "--no-block", "hailo-whisper.service"], check=True)
    cure = "systemctl stop hailo-ollama"
    reason = await_reason(service, "in use by another program (HailoRT error 74)", cure)
    # The unit is shut in too well to see other processes; root is not.
    assert "`hailo-whisper doctor`, as root, names it" in reason
    pid = host.check_output("systemctl show --property=MainPID --value hailo-ollama.service")
    assert f"(process {pid})" in host.run("hailo-whisper doctor").stdout
    host.check_output(cure)
    await_words(service)

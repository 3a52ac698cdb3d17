"""A clock that jumps. The machine's is the host's and stays what it is: libfaketime gives one of its own to the service's processes.

libfaketime reads the offset from a file again each second, and changes the time of day only: what counts seconds (CLOCK_MONOTONIC) goes on, as in the kernel.
"""

import json
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import pytest
from appliance import UNIT, WORKER, child_pid, main_pid
from load import Load
from testinfra.host import Host

from service import CLIP, Service, words

OFFSET = "/srv/clock/offset"
DROP_IN = f"/etc/systemd/system/{UNIT}.d/90-clock.conf"
LIBRARY = "$(dpkg --listfiles libfaketime | grep 'libfaketime.so.1$')"
SETTINGS = f"FAKETIME_TIMESTAMP_FILE={OFFSET} FAKETIME_CACHE_DURATION=1 FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME_DISABLE_SHM=1"


def jump(host: Host, service: Service, days: int) -> None:
    """Have the service's clock differ by so many days from the machine's, and wait until the service goes by it."""
    host.check_output(f"echo {days:+}d >{OFFSET}")
    end = int(host.check_output("date +%s")) + 30
    while abs(days_ahead(host, service) - days) > 1:
        assert int(host.check_output("date +%s")) < end, "the clock has not changed"


def days_ahead(host: Host, service: Service) -> float:
    """Days by which the service's clock is ahead of the machine's, by the date of its replies."""
    said = parsedate_to_datetime(service.client.get(service.url("/health")).headers["date"]).timestamp()
    return (said - int(host.check_output("date +%s"))) / 86400


@pytest.fixture
def clock(host: Host, service: Service) -> Iterator[None]:
    host.check_output(f"mkdir -p /srv/clock && echo +0d >{OFFSET}")
    host.check_output(f'printf "[Service]\\nEnvironment=LD_PRELOAD=%s {SETTINGS}\\n" {LIBRARY} >{DROP_IN}')
    host.check_output(f"systemctl daemon-reload && systemctl restart {UNIT}")
    service.await_ready()
    yield
    host.check_output(f"rm {DROP_IN} && systemctl daemon-reload && systemctl restart {UNIT}")


@pytest.mark.usefixtures("clock")
def test_a_clock_that_jumps_is_nothing_to_the_service(host: Host, service: Service) -> None:
    processes = main_pid(host), child_pid(host, WORKER)
    began = host.check_output("date --iso-8601=seconds")
    with Load(service, first=2) as load:
        for days in (400, -4000, 0):
            jump(host, service, days)
            load.await_more(3)
    assert load.failed == []
    assert {words(text) for text in load.answered} == {words(CLIP)}
    assert (main_pid(host), child_pid(host, WORKER)) == processes, "nobody was taken for hung"
    lines = host.check_output(f"journalctl --unit={UNIT} --since={began[:10]} --output=cat --no-pager").splitlines()
    seconds = [json.loads(line)["seconds"] for line in lines if '"hailo_whisper.access"' in line]
    assert len(seconds) >= len(load.answered)
    assert all(0 <= value < 300 for value in seconds), "what takes a second is not told as a year"


@pytest.mark.usefixtures("clock")
def test_a_machine_that_starts_without_the_time_serves_and_its_doctor_says_what_that_costs(host: Host, service: Service) -> None:
    """As a Raspberry Pi without a network does."""
    host.check_output(f"echo -4000d >{OFFSET} && systemctl restart {UNIT}")
    service.await_ready()
    assert words(service.transcribe()) == words(CLIP)
    assert days_ahead(host, service) < -3999
    told = " ".join(host.run(f"env LD_PRELOAD={LIBRARY} {SETTINGS} hailo-whisper doctor --only clock").stdout.split())
    assert "timedatectl set-ntp true" in told, told
    assert "broken clock" in told, told

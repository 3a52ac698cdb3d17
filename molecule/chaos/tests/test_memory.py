"""Too little memory: the kernel's OOM killer ends a process of the unit, and no other."""

import time
from collections.abc import Iterator

import openai
import pytest
from appliance import WORKER, await_reason, await_status, child_pid, doctor, main_pid
from load import CLIP as RECORDING
from load import client, repeated
from testinfra.host import Host

from service import Service

# Where the machine is a container, its systemd may not have the kernel's memory groups in its hands: then MemoryMax= says nothing, and the
# processes get a group of their own.
FIND = """
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    echo /sys/fs/cgroup$(systemctl show --property=ControlGroup --value hailo-whisper.service) memory.max memory.current max
else
    group=/sys/fs/cgroup/memory/hailo-whisper
    mkdir -p $group
    for process in $(systemctl show --property=MainPID --value hailo-whisper.service) $(pgrep --full '[h]ailo_whisper'); do
        echo $process >$group/cgroup.procs || exit 1
    done
    echo $group memory.limit_in_bytes memory.usage_in_bytes -1
fi
"""


class Group:
    """The control group that the service's processes are in."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._folder, self._limit, self._usage, self._none = host.check_output(FIND).split()

    @property
    def usage(self) -> int:
        """Bytes."""
        return int(self._host.check_output(f"cat {self._folder}/{self._usage}"))

    def limit(self, most: int | None) -> None:
        """Let it have so many bytes."""
        self._host.check_output(f"echo {self._none if most is None else most} >{self._folder}/{self._limit}")


@pytest.fixture
def group(host: Host, service: Service) -> Iterator[Group]:
    group = Group(host)
    # What the worker has was charged to the group that it was started in.
    host.check_output("kill -KILL %s", str(child_pid(host, WORKER)))
    service.await_ready()
    yield group
    group.limit(None)
    host.check_output("systemctl restart hailo-whisper.service")


def test_short_memory_costs_the_worker_and_it_comes_back_when_there_is_some(host: Host, service: Service, group: Group) -> None:
    server, ended = main_pid(host), ended_by_the_kernel(host)
    group.limit(group.usage + 20_000_000)
    with pytest.raises(openai.InternalServerError) as caught:
        client(service).audio.transcriptions.create(file=("long.wav", repeated(RECORDING, 40)), model="whisper-1")
    assert (caught.value.status_code, caught.value.response.headers["retry-after"]) == (503, "10")
    assert "There is too little memory" in caught.value.message
    assert ended_by_the_kernel(host) > ended
    reason = await_reason(service, "There is too little memory: ")
    assert "was ended by the kernel for want of memory while it loaded the model. Have other programs take less" in reason
    await_status(host, reason)
    assert "raise resource_limits.memory_max where it is set, or take a smaller model" in doctor(host)
    # A model that is broken is tried three times, and then once in 5 minutes.
    end = time.monotonic() + 90
    while (state := service.client.get(service.url("/health/ready")).json())["failed_starts"] < 3:
        assert time.monotonic() < end, state
        time.sleep(0.5)
    assert state["next_start_seconds"] <= 30
    assert main_pid(host) == server
    group.limit(None)
    service.await_ready()
    assert main_pid(host) == server


def ended_by_the_kernel(host: Host) -> int:
    """How many processes the kernel has ended for want of memory."""
    return int(host.check_output("sed --quiet 's/^oom_kill //p' /proc/vmstat"))

"""What the tests of the accidents ask of the machine, over and over: its processes, what it says of itself, and the command that it names."""

import re
import time

from testinfra.host import Host

from service import Service

UNIT = "hailo-whisper.service"
TREE = "/opt/hailo-whisper"
WORKER, DECODER = "hailo_whisper.engines.worker", "hailo_whisper.speech.decode"


def main_pid(host: Host) -> int:
    return int(host.check_output(f"systemctl show --property=MainPID --value {UNIT}"))


def child_pid(host: Host, module: str) -> int:
    """The process of a child of the server's, once there is one."""
    # In brackets, for the shell that runs pgrep has the pattern in its command line.
    pattern = f"[{module[0]}]{module[1:]}"
    return int(host.check_output(f"timeout 30 sh -c 'until pgrep --oldest --full {pattern}; do sleep 0.1; done'").split()[0])


def await_status(host: Host, *said: str, seconds: float = 30) -> None:
    """Wait until `systemctl status` shows all of this in the service's own line, which is renewed every few seconds."""
    end = time.monotonic() + seconds
    while not all(part in (shown := host.check_output(f"systemctl show --property=StatusText --value {UNIT}")) for part in said):
        assert time.monotonic() < end, shown
        time.sleep(0.2)


def doctor(host: Host) -> str:
    """What the doctor says, on one line."""
    return " ".join(host.run("hailo-whisper doctor").stdout.split())


def await_reason(service: Service, said: str, seconds: float = 60) -> str:
    """Wait until the service is not ready and says this; returns all that it says."""
    end = time.monotonic() + seconds
    while True:
        reply = service.client.get(service.url("/health/ready"))
        reason = str(reply.json()["reason"])
        if reply.status_code == 503 and said in reason:
            return reason
        assert time.monotonic() < end, reply.text
        time.sleep(0.2)


def command(said: str) -> str:
    """The first command that a sentence names."""
    match = re.search(r"Run `(hailo-whisper [^`]+)`", said)
    assert match, said
    return match[1]


def await_work(service: Service, seconds: float = 30) -> None:
    """Wait until a request is in flight."""
    end = time.monotonic() + seconds
    while not re.search(
        r"^hailo_whisper_queue_requests\{.*\} [1-9]", service.client.get(service.url("/metrics")).text, re.MULTILINE
    ):
        assert time.monotonic() < end
        time.sleep(0.05)

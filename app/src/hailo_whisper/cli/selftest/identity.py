"""What the device says of itself. Asked in a child with a deadline: the library may hang, or crash."""

import json
from dataclasses import dataclass

from ...accelerators.asking import PYTHON, asked
from ...accelerators.hailo import Binding
from ...accelerators.machine import Machine

SECONDS = 20.0
ASK = """
import json, os
os.environ.setdefault("HAILORT_LOGGER_PATH", "NONE")
import hailo_platform
found = hailo_platform.Device.scan()
about = {"found": len(found)}
if found:
    board = hailo_platform.Device(found[0]).control.identify()
    about |= {"architecture": str(board.device_architecture), "firmware": str(board.firmware_version)}
print(json.dumps(about))
"""


@dataclass(frozen=True)
class Identity:
    """The device. Its serial number is left out: it would tell of the owner in a public issue."""

    name: str
    facts: dict[str, str]
    trouble: str | None = None
    """Why it does not say more."""


def identify(kind: str, machine: Machine, binding: Binding | None, command: tuple[str, ...] | None = None) -> Identity:
    """The device of an engine of that kind. Takes SECONDS at most."""
    if kind == "hailo":
        driver = machine.npu.driver
        facts = {"driver": f"{driver.module} {driver.version}" if driver else "", "HailoRT": (binding and binding.version) or ""}
        return _hailo({name: fact for name, fact in facts.items() if fact}, command or (*PYTHON, "-c", ASK))
    if kind == "cuda" and machine.cuda:
        gpus = ", ".join(f"{gpu.name} ({gpu.memory_mb} MB)" for gpu in machine.cuda.gpus)
        facts = {"driver": machine.gpu.driver or "", "CUDA of the driver": machine.cuda.cuda or ""}
        return Identity(gpus or "a GPU", facts, str(machine.cuda.trouble) if machine.cuda.trouble else None)
    return Identity("the CPU", {})


def _hailo(facts: dict[str, str], command: tuple[str, ...]) -> Identity:
    done = asked(command, SECONDS)
    if done is None:
        return Identity("a Hailo device", facts, f"it did not say what it is within {SECONDS:.0f} s")
    try:
        about = json.loads(done.last_line)
    except ValueError:
        return Identity("a Hailo device", facts, done.last_words or f"asking it ended with status {done.status}")
    if not about["found"]:
        return Identity("no Hailo device", facts, "HailoRT finds none")
    return Identity(about["architecture"], facts | {"firmware": about["firmware"], "devices": str(about["found"])})

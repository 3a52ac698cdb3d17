"""Which devices a unit lets its service open: PrivateDevices=, DevicePolicy= and DeviceAllow= of systemd.resource-control(5)."""

import fnmatch
from collections.abc import Sequence
from pathlib import Path

from ...accelerators.files import text
from ...accelerators.nodes import Node
from .units import Unit

# What the drivers call themselves in /proc/devices: of each line one has to be let in, or the first that is there.
CLASSES = {
    "hailo": (("hailo1x", "hailo"),),
    "nvidia": (("nvidia", "nvidia-frontend"), ("nvidia-uvm",)),
}


def hidden(service: Unit, name: str, nodes: Sequence[Node], root: Path) -> str | None:
    """What in the unit keeps its service from the accelerator of that name, "hailo" or "nvidia"; None when nothing does."""
    if service.private_devices == "yes":
        return "PrivateDevices=yes"
    policy, allowed = service.device_policy, service.device_allow.splitlines()
    if policy not in ("closed", "strict") and not (policy == "auto" and allowed):
        return None
    entries = [entry for line in allowed if (entry := line.partition(" "))[0] and set("rw") <= set(entry[2])]
    patterns = [entry[0] for entry in entries]
    if all(node.path in patterns for node in nodes):
        return None
    groups = [pattern.removeprefix("char-") for pattern in patterns if pattern.startswith("char-")]
    listed = {line.split()[-1] for line in (text(root / "proc/devices") or "").splitlines() if line.strip()}
    for names in CLASSES[name]:
        here = [each for each in names if each in listed] or names
        if not any(fnmatch.fnmatchcase(each, pattern) for each in here for pattern in groups):
            return f"DevicePolicy={policy} without DeviceAllow=char-{here[0]} rw"
    return None

"""The systemd drop-ins that carry settings to where only systemd can act on them: the socket's address, the service's limits.

One unit file serves every way of installing; what differs by machine is in these.
"""

import ipaddress
from pathlib import Path

from ..settings import Settings, Storage

HEADER = "# Made by `hailo-whisper config render` from /etc/hailo/hailo-whisper.yaml: edit that, and render again.\n"
FOLDER = Path("etc/systemd/system")


def render(settings: Settings) -> dict[Path, str]:
    """The text of each drop-in, by its path relative to the root of the file system.

    The keys are those of systemd.socket(5) and systemd.resource-control(5). An empty `ListenStream=` drops the unit's own
    address first, or the socket would listen on both.
    """
    limits = settings.resource_limits
    lines = [f"MemoryMax={limits.memory_max}"] if limits.memory_max else []
    lines += [f"CPUQuota={limits.cpu_quota}"] if limits.cpu_quota else []
    cache = settings.storage.cache
    if cache != Storage().cache:
        # The unit can write to its own folders alone. The dash: a folder that is not there does not keep the service from starting.
        lines += [f"Environment=XDG_CACHE_HOME={cache}", f"ReadWritePaths=-{cache}"]
    return {
        FOLDER / "hailo-whisper.socket.d/50-config.conf": (
            f"{HEADER}[Socket]\nListenStream=\nListenStream={_listen(settings.server.host, settings.server.port)}\n"
        ),
        FOLDER / "hailo-whisper.service.d/50-config.conf": HEADER + "[Service]\n" + "".join(f"{line}\n" for line in lines),
    }


def _listen(host: str, port: int) -> str:
    address = ipaddress.ip_address(host)
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"

"""The systemd units of the service, as `systemctl show` tells of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

SERVICE, SOCKET = "hailo-whisper.service", "hailo-whisper.socket"
PROPERTIES = (
    "Id,LoadState,UnitFileState,ActiveState,SubState,Result,NRestarts,StatusText,DropInPaths,MainPID,PrivateDevices,"
    "DevicePolicy,DeviceAllow,SupplementaryGroups,User,NeedDaemonReload"
)


@dataclass(frozen=True)
class Unit:
    """One of them; what is not known is empty."""

    properties: dict[str, str]

    def __getattr__(self, name: str) -> str:
        return self.properties.get("".join(part.capitalize() for part in name.split("_")), "")

    @property
    def installed(self) -> bool:
        """Whether there is a file of it, be it masked."""
        return self.properties.get("LoadState", "not-found") != "not-found"

    @property
    def drop_ins(self) -> list[str]:
        """The files that change it."""
        return self.properties.get("DropInPaths", "").split()


@dataclass(frozen=True)
class Units:
    """The service and its socket."""

    service: Unit
    socket: Unit


def survey(root: Path, ask: Callable[[Sequence[str]], str | None]) -> Units | None:
    """Ask systemd; None where it does not run, or does not answer."""
    if not (root / "run/systemd/system").is_dir():
        return None
    said = ask(["systemctl", "show", SERVICE, SOCKET, "-p", PROPERTIES])
    if said is None:
        return None
    blocks = [_properties(block) for block in said.split("\n\n")]
    by_name = {block.get("Id", ""): Unit(block) for block in blocks}
    return Units(by_name.get(SERVICE, Unit({})), by_name.get(SOCKET, Unit({})))


def _properties(block: str) -> dict[str, str]:
    """The properties of a unit; one that is shown again and again, as DeviceAllow= is, has a line for each."""
    found: dict[str, str] = {}
    for line in block.splitlines():
        name, equals, value = line.partition("=")
        if equals:
            found[name] = f"{found[name]}\n{value}" if name in found else value
    return found

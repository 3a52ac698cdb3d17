"""A Hailo device: its nodes, what it is, its driver, and HailoRT's library and Python binding.

Facts of the drivers 4.x to 5.3 (hailo-ai/hailort-drivers): the module is `hailo_pci` for the Hailo-8 and `hailo1x_pci` from 5.0 on; the node is
/dev/hailo0 up to 5.2 and /dev/h1x-0 from 5.3 on. Driver and library must be of the very same version.
"""

import importlib.util
import json
import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from ..installation import in_image
from . import accounts
from .asking import PYTHON, asked
from .files import matching, text
from .lack import Lack
from .nodes import Node, nodes

NODES = ("hailo[0-9]*", "h1x-[0-9]*")
"""Of the device, in /dev: up to driver 5.2, and from 5.3 on."""
MODULES = ("hailo1x_pci", "hailo_pci", "hailo_integrated_nnc")
VENDOR = "0x1e60"
PCI = Path("/sys/bus/pci/devices")
ARCHITECTURES = {"0x45c4": "hailo10h", "0x2864": "hailo8-family"}
"""By the PCI number, from the driver's tables; the Hailo-8L has that of the Hailo-8."""
LIBRARIES = ("usr/lib", "usr/lib/*-linux-gnu", "usr/local/lib", "lib/*-linux-gnu")
DISTRIBUTION = "hailort"
ALONE = "UNIQUE"
"""The group of one program only."""
INSTALL = "python3-h10-hailort on Raspberry Pi OS, or Hailo's wheel, of the driver's version"
MOUNT = "mount the host's library and Python package, which are of its driver's version, as compose.hailo.yml does"
SECONDS = 20.0
# In a child: the library is loaded with it, and it may hang or crash. EMULATED is what the tests' emulator has, and HailoRT has not.
ASK = """
import json, os
os.environ.setdefault("HAILORT_LOGGER_PATH", "NONE")
import hailo_platform
about = {"version": str(getattr(hailo_platform, "__version__", "")), "emulated": bool(getattr(hailo_platform, "EMULATED", False))}
print(json.dumps(about))
"""


@dataclass(frozen=True)
class Board:
    """A device on the bus, whether it has a driver or not."""

    address: str
    architecture: str


@dataclass(frozen=True)
class Driver:
    """The kernel's module; `version` is None where it does not tell."""

    module: str
    version: str | None


@dataclass(frozen=True)
class Hailo:
    """What was found."""

    nodes: tuple[Node, ...] = ()
    boards: tuple[Board, ...] = ()
    driver: Driver | None = None
    libraries: tuple[str, ...] = ()
    """Versions of libhailort, by the names of its files."""
    binding: bool = False
    """Whether this program's Python finds hailo_platform."""
    binding_version: str | None = None
    """As its package says; None when it says nothing."""

    @property
    def present(self) -> bool:
        """Whether there is a device at all, usable or not."""
        return bool(self.nodes or self.boards)


@dataclass(frozen=True)
class Binding:
    """What HailoRT's Python binding says of itself when it is loaded."""

    version: str | None
    emulated: bool = False
    trouble: str | None = None
    """Why it cannot be loaded."""


def survey(root: Path, user: accounts.User | None = None) -> Hailo:
    """Look for a device and its software; the binding is found, not loaded. `user` is who is to open the device, this process unless given."""
    return Hailo(
        nodes=nodes(root, *NODES, user=user),
        boards=boards(root / "sys/bus/pci/devices"),
        driver=_driver(root),
        libraries=_libraries(root),
        binding=_bound(),
        binding_version=_packaged(),
    )


def boards(pci: Path) -> tuple[Board, ...]:
    """The devices on the bus; `pci` is /sys/bus/pci/devices."""
    found = []
    for folder in matching(pci, "*"):
        if text(folder / "vendor") == VENDOR:
            number = text(folder / "device") or ""
            found.append(Board(folder.name, ARCHITECTURES.get(number, f"unknown ({number})")))
    return tuple(found)


def architecture(pci: Path = PCI) -> str | None:
    """What the first device on the bus is: one of ARCHITECTURES, or "unknown" and its number; None when none is to be seen."""
    return next((board.architecture for board in boards(pci)), None)


def shares(architecture: str | None) -> bool:
    """Whether processes that name one group can have such a device at a time; `architecture` as ARCHITECTURES or HailoRT name it, None: unknown.

    A Hailo-10H runs a server that lets a whole group in, whatever process it is in. A Hailo-8 or 8L is used by the library itself, and there a
    group ends with the process (HailoRT's VDevice::create): the driver lets nobody else in. What is unknown may try.
    """
    return not (architecture or "").rpartition(".")[2].lower().startswith("hailo8")


def genai() -> bool:
    """Whether the installed HailoRT has the genai API: 5.1 and later do, those for the Hailo-8 do not. Nothing is loaded for it."""
    found = importlib.util.find_spec("hailo_platform")
    return any((Path(folder) / "genai").is_dir() for folder in (found and found.submodule_search_locations) or ())


def lacking(found: Hailo) -> Lack | None:
    """What is missing for HailoRT and how to get it; None when all is there, as far as can be seen from outside."""
    if not found.present:
        return Lack("there is no Hailo device")
    if not found.nodes:
        if found.driver and in_image():
            return Lack(
                "there is a Hailo device with its driver, but this container has not been given it",
                "`--device=/dev/hailo0` (/dev/h1x-0 from driver 5.3 on) gives it, as compose.hailo.yml does",
            )
        return Lack(
            "there is a Hailo device, but not its driver",
            "install hailort-pcie-driver, or hailo-h10-all on Raspberry Pi OS, and restart the machine",
        )
    closed = next((node for node in found.nodes if not node.openable), None)
    if closed:
        return Lack(
            f"there is a Hailo device, but the service may not open {closed.path} ({closed.rights})",
            f"put the container's user into the node's group: `--group-add` with what `stat -c %g {closed.path}` says on the host (HAILO_GROUP in compose)"
            if in_image()
            else "put its user into the node's group, which should be `hailo`",
        )
    if not found.binding:
        return Lack(
            "there is a Hailo device, but HailoRT's Python package hailo_platform is not installed",
            MOUNT if in_image() else f"install {INSTALL}",
        )
    return mismatch(found)


def mismatch(found: Hailo) -> Lack | None:
    """How the versions of the driver and of what is above it differ, and the cure; None when they do not, or nobody tells."""
    driver = found.driver.version if found.driver else None
    others = {"HailoRT's Python binding": found.binding_version}
    if len(found.libraries) == 1:
        others["libhailort"] = found.libraries[0]
    for what, version in others.items():
        if driver and version and numbers(driver) != numbers(version):
            both = MOUNT if in_image() else "install both of one version, and restart the machine"
            return Lack(f"the Hailo driver is {driver} and {what} is {version}", both)
    return None


def numbers(version: str) -> tuple[int, ...]:
    """The numbers of a version such as 5.2.0."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def ask_binding(seconds: float = SECONDS) -> Binding:
    """Have a child load the binding. Takes so many seconds at most; the device is not touched."""
    done = asked((*PYTHON, "-c", ASK), seconds)
    if done is None:
        return Binding(None, trouble=f"it did not load within {seconds:.0f} s")
    if done.status:
        return Binding(None, trouble=done.last_words or f"loading it ended with status {done.status}")
    try:
        about = json.loads(done.last_line)
    except ValueError:
        return Binding(None, trouble="it did not say what it is")
    return Binding(str(about["version"]) or None, emulated=bool(about["emulated"]))


def _driver(root: Path) -> Driver | None:
    for module in MODULES:
        folder = root / "sys/module" / module
        if folder.is_dir():
            return Driver(module, text(folder / "version"))
    return None


def _libraries(root: Path) -> tuple[str, ...]:
    names = [path.name for pattern in LIBRARIES for path in matching(root, f"{pattern}/libhailort.so.*")]
    versions = {found[1] for name in names if (found := re.fullmatch(r"libhailort\.so\.(\d+\.\d+\.\d+)", name))}
    return tuple(sorted(versions))


def _bound() -> bool:
    """A folder of that name without a module in it is none: Python would take it for a package all the same, and a container may have mounted the wrong one."""
    found = importlib.util.find_spec("hailo_platform")
    return found is not None and found.origin is not None


def _packaged() -> str | None:
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return None

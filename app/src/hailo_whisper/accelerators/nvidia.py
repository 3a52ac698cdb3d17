"""An NVIDIA GPU: its nodes, its driver, and the libraries that CTranslate2 loads at run time.

CTranslate2 is linked with CUDA's runtime, and loads libcublas.so.12 when it is first needed; its wheels of Linux need cuDNN only where they were
built with it, which shows in a libcudnn among their files (4.8 has none). The driver brings libcuda.so.1.
"""

import json
import os
import re
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .. import installation
from ..installation import in_house, in_image
from . import accounts
from .asking import PYTHON, asked
from .files import code, matching, text
from .lack import Lack
from .nodes import Node, nodes

NODES = ("nvidia[0-9]*", "nvidiactl", "nvidia-uvm")
OF_WINDOWS = "dxg"
"""The node by which WSL 2, and a container of Docker Desktop, have the GPUs of Windows, of whichever maker; there are none of the others then."""
VENDOR = "0x10de"
DISPLAY = ("0x0300", "0x0302")
"""Classes on the bus, of a graphics card and of one without a screen."""
LIBCUDA = "libcuda.so.1"
CUBLAS = "libcublas.so.12"
CUBLASLT = "libcublasLt.so.12"
CUDNN = "libcudnn.so.9"
CUDNN_PARTS = (CUDNN, "libcudnn_ops.so.9", "libcudnn_cnn.so.9")
"""It loads the others itself when they are first needed, and ends the process where it does not find them."""
PACKAGES = {CUBLAS: "nvidia-cublas-cu12", CUBLASLT: "nvidia-cublas-cu12", **dict.fromkeys(CUDNN_PARTS, "nvidia-cudnn-cu12")}
"""The wheels that bring them."""
DEFAULT = (
    "opt/hailo-whisper/cuda/nvidia/*/lib",
    "usr/lib/*-linux-gnu",
    "lib/*-linux-gnu",
    "usr/lib64",
    "lib64",
    "usr/lib",
    "usr/local/cuda/lib64",
    "usr/lib/wsl/lib",
)
"""Where libraries lie beside what the loader's configuration names; the first is where the role and the packages put them."""
GIVEN = "`--gpus all`, or compose.nvidia.yml, lets the container have it, where the host has the driver and the NVIDIA Container Toolkit"
ASK_IT = "`nvidia-smi` and `dmesg | grep NVRM` tell more"
PROCESS = Path("/proc/self/exe")
SECONDS = 20.0


@dataclass(frozen=True)
class Gpu:
    """A GPU; memory in MB where it is known."""

    name: str
    memory_mb: int | None = None


@dataclass(frozen=True)
class Nvidia:
    """What was found."""

    boards: tuple[str, ...] = ()
    """Addresses on the bus, whether they have a driver or not."""
    nodes: tuple[Node, ...] = ()
    driver: str | None = None
    """Version of the kernel's driver."""
    gpus: tuple[Gpu, ...] = ()
    """By the driver's files."""
    libraries: Mapping[str, str | None] = field(default_factory=dict)
    """Where each library lies that is needed; None for one that was not found. Looked for where there is a driver."""

    @property
    def present(self) -> bool:
        """Whether there is a GPU at all, usable or not."""
        return bool(self.nodes or self.driver or self.boards)


@dataclass(frozen=True)
class Probe:
    """What CUDA's driver library says, asked in a child."""

    gpus: tuple[Gpu, ...] = ()
    cuda: str | None = None
    """The newest CUDA that the driver serves, such as 12.4."""
    trouble: Lack | None = None
    """Why no GPU can be used; None when one can."""


def survey(
    root: Path,
    user: accounts.User | None = None,
    packages: Path | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Nvidia:
    """Look for a GPU and its software.

    `user` is who is to open the device, this process unless given; `packages` the site-packages of the Python that is to use it, this one's
    unless given.
    """
    found, driver, boards = nodes(root, *NODES, user=user), _driver(root), _boards(root)
    of_windows = () if found else nodes(root, OF_WINDOWS, user=user)
    if not found and not of_windows and driver is None:
        return Nvidia(boards)
    needed = libraries(root, packages, environ)
    if of_windows and needed[LIBCUDA] is None:
        return Nvidia(boards)
    return Nvidia(boards, found or of_windows, driver, _gpus(root), needed)


def lacking(found: Nvidia) -> Lack | None:
    """What is missing for CUDA and how to get it; None when all is there, as far as can be seen from outside."""
    if not found.present:
        return Lack("there is no NVIDIA GPU")
    if found.driver is None and not found.nodes:
        return Lack("there is an NVIDIA GPU without its driver", "install nvidia-driver 525 or newer, and restart the machine")
    names = {node.path for node in found.nodes}
    if f"/dev/{OF_WINDOWS}" not in names and not names.issuperset({"/dev/nvidiactl", "/dev/nvidia-uvm"}):
        return Lack(
            "the nodes /dev/nvidiactl and /dev/nvidia-uvm are missing",
            GIVEN if in_image() else "`nvidia-modprobe -u -c0` makes them; in a container, `--gpus all` lets it have them",
        )
    closed = next((node for node in found.nodes if not node.openable), None)
    if closed:
        return Lack(
            f"the service may not open {closed.path} ({closed.rights})",
            "the driver makes its nodes for everybody unless NVreg_DeviceFileMode is set in /etc/modprobe.d: take that out, or put the "
            "service's user into the group that NVreg_DeviceFileGID names there, which must not be `root`",
        )
    missing = [name for name, place in found.libraries.items() if place is None]
    if LIBCUDA in missing:
        return Lack(
            f"the driver's library {LIBCUDA} is missing",
            GIVEN if in_image() else "install libcuda1, or nvidia-driver with it, of the driver's version",
        )
    if missing:
        return Lack(f"{' and '.join(missing)} cannot be found", bringing(*dict.fromkeys(PACKAGES[name] for name in missing)))
    return None


def bringing(*packages: str) -> str:
    """How to get the wheels with libraries of CUDA, as a part of a sentence."""
    if in_image():
        return "take the image that has them (`script/build-image --accelerator nvidia` builds it; `--with docker` where docker runs it)"
    if in_house():
        # Its venv is the packages' or the role's, which would not know of what somebody else puts there.
        return (
            "have the role accelerator bring the libraries of CUDA (hailo_whisper_accelerator: nvidia), in the versions that it pins, or install the packages "
            "hailo-whisper-accel-nvidia and hailo-whisper-cuda"
        )
    return f"install NVIDIA's libraries for CUDA 12 into this venv: `{installation.PREFIX}/bin/python -m pip install {' '.join(packages)}`"


def libraries(root: Path, packages: Path | None = None, environ: Mapping[str, str] = os.environ) -> dict[str, str | None]:
    """Where each library lies that CTranslate2 needs for CUDA: in a wheel of the venv first, then where the loader looks."""
    wheels = packages or Path(sysconfig.get_path("purelib"))
    needed = [LIBCUDA, CUBLASLT, CUBLAS, *(CUDNN_PARTS if matching(wheels / "ctranslate2.libs", "libcudnn*") else [])]
    folders, own = [*matching(wheels / "nvidia", "*/lib"), *_loader(root, environ)], code(PROCESS)

    def fits(library: Path) -> bool:
        # As the loader does, which passes over those of other processors: a host for games has the driver's libraries of 32 bits too.
        return library.exists() and (code(library) or own) == own

    return {name: next((str(folder / name) for folder in folders if fits(folder / name)), None) for name in needed}


def probe(seconds: float = SECONDS, command: tuple[str, ...] | None = None) -> Probe:
    """Ask the driver for its GPUs, in a child because it may hang. Takes so many seconds at most."""
    done = asked(command or (*PYTHON, "-m", "hailo_whisper.accelerators.cuda_probe"), seconds)
    if done is None:
        return Probe(trouble=Lack(f"the NVIDIA driver did not answer within {seconds:.0f} s", ASK_IT))
    try:
        said = json.loads(done.last_line)
        gpus = tuple(Gpu(str(gpu["name"]), int(gpu["memory_mb"])) for gpu in said["gpus"])
        return Probe(gpus, said["cuda"], Lack(said["trouble"], said["cure"] or "") if said["trouble"] else None)
    except (ValueError, KeyError, TypeError):
        return Probe(trouble=Lack(f"asking the NVIDIA driver ended with status {done.status}", ASK_IT))


def _driver(root: Path) -> str | None:
    if version := text(root / "sys/module/nvidia/version"):
        return version
    found = re.search(r"NVIDIA UNIX.*?\s(\d+\.\d+(?:\.\d+)?)\s", text(root / "proc/driver/nvidia/version") or "")
    return found[1] if found else None


def _gpus(root: Path) -> tuple[Gpu, ...]:
    found = []
    for path in matching(root / "proc/driver/nvidia/gpus", "*/information"):
        model = re.search(r"^Model:\s*(.+?)\s*$", text(path) or "", re.MULTILINE)
        found.append(Gpu(model[1] if model else "a GPU"))
    return tuple(found)


def _boards(root: Path) -> tuple[str, ...]:
    folders = matching(root / "sys/bus/pci/devices", "*")
    return tuple(
        folder.name
        for folder in folders
        if text(folder / "vendor") == VENDOR and (text(folder / "class") or "").startswith(DISPLAY)
    )


def _loader(root: Path, environ: Mapping[str, str]) -> Iterator[Path]:
    for folder in environ.get("LD_LIBRARY_PATH", "").split(":"):
        if folder.startswith("/"):
            yield _below(root, folder)
    for path in matching(root / "etc/ld.so.conf.d", "*.conf"):
        for line in (text(path) or "").splitlines():
            if line.startswith("/"):
                yield _below(root, line.strip())
    for pattern in DEFAULT:
        yield from matching(root, pattern)


def _below(root: Path, path: str) -> Path:
    return root / path.lstrip("/")

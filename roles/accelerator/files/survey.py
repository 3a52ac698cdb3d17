#!/usr/bin/python3
"""Looks for accelerators, and says which one is to be taken and what it lacks: prints JSON. Changes nothing. Arguments: a JSON object.

`accelerator`: auto, hailo, nvidia or cpu. `wheel`: the name of the wheel of HailoRT's Python binding that is going to be installed, or "". `python`:
the Python that a binding of the system's is looked for in. `root`: the root of the file system. `placed`: for each accelerator, patterns of the paths of
what the role puts in place for it.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

HAILO, NVIDIA = "0x1e60", "0x10de"
# By their numbers on the PCI bus.
HAILO_NAMES = {"0x2864": "Hailo-8", "0x45c4": "Hailo-10H"}
HAILO_NODES = ("hailo[0-9]*", "h1x-[0-9]*")
HAILO_MODULES = ("hailo1x_pci", "hailo_pci")
# The oldest HailoRT that can: the genai API of the Hailo-10H, and the pairs of the others.
HAILORT = {"Hailo-10H": (5, 1, 1)}
HAILORT_OF_PAIRS = (4, 20, 0)
WHEEL = r"hailort-([0-9.]+)-cp3([0-9]+)-cp3[0-9]+-(?:linux|manylinux[0-9_]+)_(x86_64|aarch64)\.whl"
# The oldest driver of CUDA 12, and what its libraries take on the disk, with the room that pip needs for them.
NVIDIA_DRIVER = (525, 60)
NVIDIA_MB = 2500
CUDA = "opt/hailo-whisper/cuda"
# Prints where the system has the binding, and of which version it is. Hailo's log would be written into the folder that this runs in.
PROBE = """
import json, os
os.environ["HAILORT_LOGGER_PATH"] = "NONE"
import importlib.util
spec = importlib.util.find_spec("hailo_platform")
found = {"path": spec.submodule_search_locations[0], "version": "", "error": ""} if spec else {}
if spec:
    try:
        import hailo_platform
        found["version"] = hailo_platform.__version__
    except Exception as error:
        found["error"] = f"{type(error).__name__}: {error}"
print(json.dumps(found))
"""


def main():
    question = json.loads(sys.argv[1])
    root = Path(question["root"])
    binding = bound(question["python"])
    found = {"hailo": hailo(root, binding, question["wheel"]), "nvidia": nvidia(root)}
    print(
        json.dumps(
            {
                **choice(question["accelerator"], found),
                "binding": binding.get("path", ""),
                "signs": [kind for kind, (sign, _) in found.items() if sign],
                "cli": shutil.which("hailortcli") or "",
                "machine": platform.machine(),
                "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
                "placed": {kind: there(root, patterns) for kind, patterns in question["placed"].items()},
            }
        )
    )


def choice(wanted, found):
    """What is taken, the reason, and what the wanted one lacks. `found` has for each whether there is a sign of it, and what it lacks."""
    if wanted != "auto":
        return {"taken": wanted, "why": "The inventory says so.", "lacks": found[wanted][1] if wanted in found else []}
    names = {"hailo": "a Hailo NPU", "nvidia": "an NVIDIA GPU"}
    there = {kind: lacks for kind, (sign, lacks) in found.items() if sign}
    for kind, lacks in there.items():
        if not lacks:
            return {"taken": kind, "why": f"There is {names[kind]}, and all that it needs.", "lacks": []}
    why = [f"There is {names[kind]}, but it cannot be used. {' '.join(lacks)}" for kind, lacks in there.items()]
    return {"taken": "cpu", "why": " ".join(why) or "There is neither a Hailo NPU nor an NVIDIA GPU.", "lacks": []}


def hailo(root, binding, wheel):
    """Whether there is a sign of a device, and what it lacks, as sentences."""
    cards = cards_of(root, HAILO)
    nodes = [node for pattern in HAILO_NODES for node in (root / "dev").glob(pattern)]
    name = HAILO_NAMES.get(cards[0], "Hailo") if cards else "Hailo"
    # The packages of the two generations exclude each other.
    package = "hailo-all" if name == "Hailo-8" else "hailo-h10-all"
    python = "python3-hailort" if name == "Hailo-8" else "python3-h10-hailort"
    lacks = []
    if not nodes and not cards:
        lacks.append(
            "There is no Hailo device: neither one on the PCI bus (`lspci -d 1e60:`) nor /dev/hailo0 or /dev/h1x-0. See that the card is plugged in, and "
            "switch the machine off and on."
        )
    elif not nodes:
        lacks.append(
            f"The {name} has no driver: neither /dev/hailo0 nor /dev/h1x-0 is there. On Raspberry Pi OS `apt install dkms {package}`, elsewhere "
            "Hailo's hailort-pcie-driver and hailort, both of one version; then restart the machine."
        )
    library = wheel_version(wheel) if wheel else binding.get("version", "")
    if not wheel and not binding:
        lacks.append(
            f"HailoRT's Python package hailo_platform is not installed. On Raspberry Pi OS `apt install {python}`, elsewhere give Hailo's wheel "
            "for this Python by hailo_whisper_hailort_wheel."
        )
    elif not wheel and binding["error"]:
        lacks.append(
            f"HailoRT's Python package in {binding['path']} cannot be loaded ({binding['error']}). Install it again, of the version of the library: "
            f"`apt install --reinstall {python}` on Raspberry Pi OS."
        )
    driver = driver_version(root)
    if driver and library and driver != library:
        lacks.append(
            f"The driver is {driver} and HailoRT's Python package {library}, which do not work together. Install both of one version, and restart "
            "the machine."
        )
    oldest = HAILORT.get(name, HAILORT_OF_PAIRS)
    if old := next((version for version in (library, driver) if version and numbers(version) < oldest), ""):
        needed = ".".join(map(str, oldest))
        lacks.append(
            f"HailoRT is {old}, and the {name} needs {needed} or newer here. Upgrade the driver, the library and the Python package "
            f"(`apt install dkms {package}` on Raspberry Pi OS), and restart the machine."
        )
    return bool(cards or nodes), lacks


def numbers(version):
    """Those of a version such as 5.2.0."""
    return tuple(int(part) for part in re.findall("[0-9]+", version)[:3])


def wheel_version(name):
    """HailoRT's version, out of the name of a wheel; "" when it is none of this Python and processor."""
    match = re.fullmatch(WHEEL, name)
    fits = match and int(match[2]) == sys.version_info[1] and match[3] == platform.machine()
    return match[1] if fits else ""


def driver_version(root):
    """That of the driver that is loaded; "" when there is none, or it does not tell."""
    for module in HAILO_MODULES:
        if version := text(root / "sys/module" / module / "version"):
            return version
    return ""


def nvidia(root):
    """Whether there is a sign of a GPU, and what it lacks, as sentences."""
    cards = cards_of(root, NVIDIA, "0x03")
    nodes = [*(root / "dev").glob("nvidia[0-9]*")]
    version = re.search(r"Kernel Module.*?([0-9]+)\.([0-9]+)", text(root / "proc/driver/nvidia/version"))
    lacks = []
    if platform.machine() != "x86_64":
        lacks.append("The engine for CUDA is built for x86_64 only: no wheel of CTranslate2 for this processor has it.")
    if not cards and not version:
        lacks.append("There is no NVIDIA GPU on the PCI bus (`lspci -d 10de:`).")
    elif not version:
        lacks.append(
            "NVIDIA's driver is not loaded. Install it (`apt install nvidia-driver`, from Debian's non-free or NVIDIA's own repository) and restart "
            "the machine."
        )
    elif (int(version[1]), int(version[2])) < NVIDIA_DRIVER:
        lacks.append(
            f"NVIDIA's driver is {version[1]}.{version[2]}, and CUDA 12 needs 525.60 or newer. Upgrade it, and restart the machine."
        )
    elif not nodes or not (root / "dev/nvidiactl").exists():
        lacks.append(
            "The driver is loaded, and /dev/nvidia0 or /dev/nvidiactl is not there. `nvidia-smi` as root makes them, or says why not."
        )
    if not [*root.glob("usr/lib/x86_64-linux-gnu/libcuda.so.1"), *root.glob("usr/lib/x86_64-linux-gnu/nvidia/*/libcuda.so.1")]:
        lacks.append(
            "The driver's library libcuda.so.1 is not installed. `apt install libcuda1`, or install the whole of NVIDIA's driver."
        )
    if not (root / CUDA).exists() and (free := free_mb(root / CUDA)) < NVIDIA_MB:
        lacks.append(
            f"The libraries of CUDA need {NVIDIA_MB} MB on the file system of /{CUDA}, and {free} MB are free there. Free some."
        )
    return bool(cards or version), lacks


def there(root, patterns):
    """The paths that match, of patterns that begin with a slash."""
    return [f"/{path.relative_to(root)}" for pattern in patterns for path in sorted(root.glob(pattern[1:]))]


def cards_of(root, vendor, kind="0x"):
    """The devices of a vendor on the PCI bus, by their numbers; `kind` is how the class begins."""
    folders = sorted((root / "sys/bus/pci/devices").glob("*"))
    return [
        text(card / "device") for card in folders if text(card / "vendor") == vendor and text(card / "class").startswith(kind)
    ]


def bound(python):
    """Where the system's Python finds HailoRT's binding, its version, and why it cannot be loaded; nothing when there is none."""
    try:
        # Neither the user's own packages nor the folder that this runs in.
        done = subprocess.run(
            [python, "-I", "-c", PROBE], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60, check=False
        )
        return json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return {}


def free_mb(path):
    parent = next(folder for folder in path.parents if folder.exists())
    return shutil.disk_usage(parent).free // 1000000


def text(path):
    """What a file says; nothing when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


if __name__ == "__main__":
    os.chdir("/")
    main()

"""What can be known of the device and of HailoRT without loading its library, which is the worker's business."""

import importlib.util
from pathlib import Path

VENDOR = "0x1e60"
# By the PCI device's number, from the driver's tables. The Hailo-8 and the 8L have the same.
DEVICES = {"0x2864": "hailo8-family", "0x45c4": "hailo10h"}


def architecture(pci: Path = Path("/sys/bus/pci/devices")) -> str | None:
    """What the machine's first Hailo device is: "hailo10h", or "hailo8-family" for a Hailo-8 or 8L. None: not to be seen on PCI."""
    for folder in sorted(pci.glob("*")):
        try:
            vendor, device = ((folder / name).read_text(encoding="ascii").strip() for name in ("vendor", "device"))
        except (OSError, UnicodeDecodeError):
            continue
        if vendor == VENDOR and device in DEVICES:
            return DEVICES[device]
    return None


def genai() -> bool:
    """Whether the installed HailoRT has the genai API: 5.1 and later do, those for the Hailo-8 do not."""
    found = importlib.util.find_spec("hailo_platform")
    return any((Path(folder) / "genai").is_dir() for folder in (found and found.submodule_search_locations) or ())

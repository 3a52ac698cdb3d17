"""What can be known of the device and of HailoRT without loading its library, which is the worker's business."""

import importlib.util
from pathlib import Path

from ...accelerators import hailo


def architecture(pci: Path = Path("/sys/bus/pci/devices")) -> str | None:
    """What the machine's first Hailo device is: "hailo10h", or "hailo8-family" for a Hailo-8 or 8L. None: not to be seen on PCI."""
    known = hailo.ARCHITECTURES.values()
    return next((board.architecture for board in hailo.boards(pci) if board.architecture in known), None)


def genai() -> bool:
    """Whether the installed HailoRT has the genai API: 5.1 and later do, those for the Hailo-8 do not."""
    found = importlib.util.find_spec("hailo_platform")
    return any((Path(folder) / "genai").is_dir() for folder in (found and found.submodule_search_locations) or ())

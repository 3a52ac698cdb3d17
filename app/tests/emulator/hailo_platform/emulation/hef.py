"""The emulator's HEFs: a real header of the second version, and what is to be heard instead of the network's weights."""

import json
import struct
from pathlib import Path
from typing import Any

MAGIC = 0x01484546
HEADER = struct.Struct(">III QQQQ")
"""Magic, version, size of the description; sum, size of the weights, and two that are reserved."""
# In the description, the header's message holds the architecture: field 1, of which field 1 is a number.
ARCHITECTURES = {"hailo8": 0, "hailo8l": 3, "hailo10h": 103}


class Unreadable(Exception):
    """The file is no HEF that this device takes. `code` is HailoRT's."""

    def __init__(self, code: int) -> None:
        super().__init__(str(code))
        self.code = code


def write(path: Path, architecture: str = "hailo10h", **content: Any) -> Path:
    """Write one: `weights` is a folder of Whisper weights, or `says` what is heard in every recording."""
    inner = b"" if not ARCHITECTURES[architecture] else bytes([0x08, ARCHITECTURES[architecture]])
    description = bytes([0x0A, len(inner)]) + inner
    weights = json.dumps(content).encode()
    path.write_bytes(HEADER.pack(MAGIC, 2, len(description), 0, len(weights), 0, 0) + description + weights)
    return path


# The HEFs that a device takes, by what it is (device_internal.cpp, hef_arch_to_device_compatible_archs).
TAKES = {"hailo8": ("hailo8", "hailo8l"), "hailo8l": ("hailo8l",), "hailo10h": ("hailo10h",)}


def read(path: str, device: str | None = None) -> dict[str, Any]:
    """What one holds, for a device where one is named. Raises Unreadable."""
    try:
        data = Path(path).read_bytes()
    except OSError:
        raise Unreadable(13) from None
    if len(data) < HEADER.size or HEADER.unpack_from(data)[0] != MAGIC:
        raise Unreadable(92)
    _, _, size, _, length, _, _ = HEADER.unpack_from(data)
    if len(data) != HEADER.size + size + length:
        raise Unreadable(91)
    numbers = {bytes([0x08, number]) if number else b"": name for name, number in ARCHITECTURES.items()}
    if device and numbers.get(data[HEADER.size : HEADER.size + size][2:]) not in TAKES.get(device, ()):
        raise Unreadable(93)
    content: dict[str, Any] = json.loads(data[HEADER.size + size :])
    return content

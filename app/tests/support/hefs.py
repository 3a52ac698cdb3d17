"""Files that are HEFs as far as can be seen from outside: a real header of the second layout, and weights that mean nothing."""

import struct

# hef.proto's numbers.
NUMBERS = {"hailo8": 0, "hailo8l": 3, "hailo10h": 103}


def hef(architecture: str = "hailo10h", weights: bytes = bytes(1000)) -> bytes:
    """The bytes of one."""
    # protobuf leaves out what is 0.
    inner = bytes([0x08, NUMBERS[architecture]]) if NUMBERS[architecture] else b""
    description = bytes([0x0A, len(inner)]) + inner
    return struct.pack(">III QQQQ", 0x01484546, 2, len(description), 0, len(weights), 0, 0) + description + weights

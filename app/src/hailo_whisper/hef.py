"""What a HEF says of itself, read without HailoRT: whether a file is one at all, whether it is whole, and for which device it was made.

The layout is that of HailoRT's hef_internal.hpp: a header, big-endian; a protobuf message that describes the network; its weights.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

from .failure import Failure

MAGIC = 0x01484546
COMMON = struct.Struct(">III")
"""Magic, version of the layout, size of the description."""
# By the version: how long the rest of the header is, and where in it the sizes of what follows the description stand.
REST = {0: (20, ()), 1: (16, ((4, "Q"),)), 2: (32, ((8, "Q"),)), 3: (44, ((8, "Q"), (20, "Q")))}
# hef.proto's ProtoHEFHwArch; one number stands for the Hailo-10H and the Hailo-15H.
ARCHITECTURES = {0: "hailo8", 1: "hailo8p", 2: "hailo8r", 3: "hailo8l", 4: "hailo15m", 6: "hailo15l", 103: "hailo10h"}
LARGEST_VARINT = 10


class HefUnsound(Failure):
    """The file is no HEF, or not whole. The message is a clause without a full stop that has the file as its subject."""


class HefNewer(HefUnsound):
    """The file may be sound, but is of a layout that this program does not know."""


@dataclass(frozen=True)
class Hef:
    """A file for the device that looks sound."""

    path: Path
    version: int
    """Of the layout."""
    architecture: str
    """As HailoRT calls it, such as `hailo10h`; "unknown" and a number for one that is not in its public list."""
    size: int
    """Of the file, in bytes."""


def read(path: Path) -> Hef:
    """Read what a file says of itself. Raises HefUnsound, and OSError for one that cannot be read."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(COMMON.size)
        magic, version, described = COMMON.unpack(start) if len(start) == COMMON.size else (0, 0, 0)
        if magic != MAGIC:
            raise HefUnsound(f"is no HEF: it does not begin as one ({start[:4].hex() or 'it is empty'})")
        if version not in REST:
            raise HefNewer(f"is a HEF of a newer layout ({version}) than this program knows")
        length, places = REST[version]
        rest = stream.read(length)
        # Of some megabytes at most; its first field is the one that is wanted.
        description = stream.read(min(described, 4096))
    if len(rest) < length:
        raise HefUnsound("is cut short: it ends within its header")
    follows = sum(int(struct.unpack_from(f">{form}", rest, at)[0]) for at, form in places)
    whole = COMMON.size + length + described + follows
    if size != whole:
        raise HefUnsound(f"is cut short or damaged: it has {size} bytes, and says that it has {whole}")
    number = _architecture(description)
    return Hef(path, version, ARCHITECTURES.get(number, f"unknown ({number})"), size)


def _architecture(description: bytes) -> int:
    """`header.hw_arch` of the description; protobuf leaves out what is 0. Raises HefUnsound."""
    try:
        tag, at = _varint(description, 0)
        if tag != 0x0A:
            return 0
        size, at = _varint(description, at)
        end = at + size
        while at < end:
            tag, at = _varint(description, at)
            if tag & 7 == 0:
                value, at = _varint(description, at)
                if tag == 0x08:
                    return value
            elif tag & 7 == 2:
                skipped, at = _varint(description, at)
                at += skipped
            else:
                break
    except IndexError:
        raise HefUnsound("is damaged: its description makes no sense") from None
    return 0


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A protobuf number and where the next thing begins. Raises IndexError."""
    value = 0
    for step in range(LARGEST_VARINT):
        byte = data[at + step]
        value |= (byte & 0x7F) << 7 * step
        if not byte & 0x80:
            return value, at + step + 1
    raise IndexError

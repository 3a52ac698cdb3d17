"""What a HEF says of itself, read without HailoRT: a file that is none, or cut short, or for another device is refused by name.

The layout is that of HailoRT's hef_internal.hpp: a header, big-endian; a protobuf message that describes the network; its weights.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

from ..trouble import Trouble

MAGIC = 0x01484546
COMMON = struct.Struct(">III")
"""Magic, version of the layout, size of the description."""
# By the version: how long the rest of the header is, and where in it the sizes of what follows the description stand.
REST = {0: (20, ()), 1: (16, ((4, "Q"),)), 2: (32, ((8, "Q"),)), 3: (44, ((8, "Q"), (20, "Q")))}
# hef.proto's ProtoHEFHwArch; one number stands for the Hailo-10H and the Hailo-15H.
ARCHITECTURES = {0: "hailo8", 1: "hailo8p", 2: "hailo8r", 3: "hailo8l", 4: "hailo15m", 6: "hailo15l", 103: "hailo10h"}
WANTED = "hailo10h"
LARGEST_VARINT = 10
# Since which HailoRT a model of Hailo's model zoo can be loaded; others are tried.
SINCE = {"whisper-base": (5, 1, 0), "whisper-small": (5, 2, 0), "whisper-tiny": (5, 3, 0)}
CURE = "Pull it again (`hailo-whisper models pull NAME --force`), or set model.path to a sound one."


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
    """Read what a file says of itself. Raises Trouble for one that is no HEF, or not whole."""
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            start = stream.read(COMMON.size)
            magic, version, described = COMMON.unpack(start) if len(start) == COMMON.size else (0, 0, 0)
            if magic != MAGIC:
                raise Trouble(f"{path} is no HEF: it does not begin as one ({start[:4].hex() or 'it is empty'}). {CURE}")
            if version not in REST:
                raise Trouble(f"{path} is a HEF of a newer layout ({version}) than this program knows. Update hailo-whisper.")
            length, places = REST[version]
            rest = stream.read(length)
            # Of some megabytes at most; its first field is the one that is wanted.
            description = stream.read(min(described, 4096))
    except OSError as error:
        raise Trouble(f"{path} cannot be read: {error.strerror}. Let the service read it, or pull the model again.") from None
    if len(rest) < length:
        raise Trouble(f"{path} is cut short: it ends within its header. {CURE}")
    follows = sum(int(struct.unpack_from(f">{form}", rest, at)[0]) for at, form in places)
    whole = COMMON.size + length + described + follows
    if size != whole:
        raise Trouble(f"{path} is cut short or damaged: it has {size} bytes, and says that it has {whole}. {CURE}")
    number = _architecture(description)
    return Hef(path, version, ARCHITECTURES.get(number, f"unknown ({number})"), size)


def check(hef: Hef, version: tuple[int, ...]) -> None:
    """Raise Trouble unless HailoRT of that version can be expected to load it on a Hailo-10H."""
    if hef.architecture != WANTED:
        raise Trouble(
            f"{hef.path} was made for {hef.architecture}, and HailoRT transcribes on {WANTED} only. Pull the model for {WANTED}."
        )
    since = SINCE.get(hef.path.stem.lower(), (0,))
    if version < since:
        raise Trouble(
            f"{hef.path.stem} needs HailoRT {_dotted(since)} or newer, and {_dotted(version)} is installed. "
            "Update HailoRT and its driver together, or choose another model."
        )


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _architecture(description: bytes) -> int:
    """`header.hw_arch` of the description; protobuf leaves out what is 0. Raises Trouble."""
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
        raise Trouble(f"The HEF's description makes no sense. {CURE}") from None
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

"""The shape of a Whisper in CTranslate2 form, as the names and sizes in its file of weights tell it, without reading the weights.

The layout is that of CTranslate2's python/ctranslate2/specs/model_spec.py, of version 4 of the format and newer ones.
"""

import math
import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

OLDEST = 4
EMBEDDINGS = "decoder/embeddings/weight"
LAYER = re.compile(r"decoder/layer_(\d+)/")
MOST_VARIABLES = 100_000


@dataclass(frozen=True)
class Shape:
    """How large the parts of a model are."""

    parameters: int
    width: int
    """Numbers in a vector between two layers."""
    decoder_layers: int


def shape(path: Path) -> Shape | None:
    """The shape of the model in a file `model.bin`; None for one that is of another kind, or cut off. Raises OSError."""
    with path.open("rb") as file:
        try:
            return _shape(file, path.stat().st_size)
        except (struct.error, UnicodeDecodeError, ValueError):
            return None


def _shape(file: BinaryIO, size: int) -> Shape | None:
    version = _number(file, "I")
    if version < OLDEST:
        return None
    _name(file)
    _number(file, "I")
    count = _number(file, "I")
    if count > MOST_VARIABLES:
        return None
    parameters, width, layers = 0, 0, set[str]()
    for _ in range(count):
        name = _name(file)
        dimensions = [_number(file, "I") for _ in range(_number(file, "B"))]
        _number(file, "B")
        length = _number(file, "I")
        if file.seek(length, os.SEEK_CUR) > size:
            return None
        parameters += math.prod(dimensions)
        layers.update(LAYER.findall(name)[:1])
        if name == EMBEDDINGS:
            width = dimensions[-1]
    return Shape(parameters, width, len(layers)) if width and layers else None


def _number(file: BinaryIO, kind: str) -> int:
    (value,) = struct.unpack(f"<{kind}", file.read(struct.calcsize(f"<{kind}")))
    return int(value)


def _name(file: BinaryIO) -> str:
    # With a zero behind it, which is counted.
    return file.read(_number(file, "H"))[:-1].decode()

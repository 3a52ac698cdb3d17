"""The weights of a Whisper model in CTranslate2's form, as numpy arrays. Of its file only what models that are not quantized need."""

import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

# CTranslate2's numbers of types.
TYPES: dict[int, Any] = {0: np.float32, 2: np.int16, 3: np.int32, 4: np.float16}


def read(folder: str, prefix: str) -> dict[str, Array]:
    """The tensors whose names begin with `prefix`, which is left out of their names."""
    found = {}
    with (Path(folder) / "model.bin").open("rb") as stream:
        _number(stream, "<I")
        _name(stream)
        _number(stream, "<I")
        for _ in range(_number(stream, "<I")):
            name = _name(stream)
            shape = [_number(stream, "<I") for _ in range(_number(stream, "<B"))]
            kind, size = _number(stream, "<B"), _number(stream, "<I")
            if name.startswith(prefix) and kind in TYPES:
                data = np.frombuffer(stream.read(size), TYPES[kind]).reshape(shape)
                found[name.removeprefix(prefix)] = data.astype(np.float32)
            else:
                stream.seek(size, 1)
    return found


def _number(stream: BinaryIO, form: str) -> int:
    return int(struct.unpack(form, stream.read(struct.calcsize(form)))[0])


def _name(stream: BinaryIO) -> str:
    return stream.read(_number(stream, "<H"))[:-1].decode()

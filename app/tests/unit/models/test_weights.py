"""The shape of a model, out of files as CTranslate2 writes them."""

import struct
from pathlib import Path

import pytest

from hailo_whisper.models.weights import Shape, shape

VARIABLES = {
    "encoder/conv1/weight": (8, 80, 3),
    "decoder/embeddings/weight": (100, 8),
    "decoder/layer_0/self_attention/linear_0/weight": (24, 8),
    "decoder/layer_11/ffn/linear_0/weight": (32, 8),
    "decoder/scale_embeddings": (),
}


def written(path: Path, variables: dict[str, tuple[int, ...]] = VARIABLES, version: int = 6) -> Path:
    def name(text: str) -> bytes:
        return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"

    data = struct.pack("<I", version) + name("WhisperSpec") + struct.pack("<II", 3, len(variables))
    for key, dimensions in variables.items():
        numbers = 1
        for dimension in dimensions:
            numbers *= dimension
        data += name(key) + struct.pack(f"<B{len(dimensions)}I", len(dimensions), *dimensions)
        data += struct.pack("<BI", 1, numbers) + bytes(numbers)
    path.write_bytes(data)
    return path


def test_the_shape(tmp_path: Path) -> None:
    assert shape(written(tmp_path / "model.bin")) == Shape(8 * 80 * 3 + 800 + 192 + 256 + 1, 8, 2)


@pytest.mark.parametrize("length", [0, 3, 10, 40, 2000, -1])
def test_one_that_is_cut_off_has_none(tmp_path: Path, length: int) -> None:
    path = written(tmp_path / "model.bin")
    path.write_bytes(path.read_bytes()[:length])
    assert shape(path) is None


def test_nor_has_one_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    assert shape(written(path, version=3)) is None
    assert shape(written(path, {"decoder/layer_0/x": (2,)})) is None, "without an embedding"
    for content in (b"{}", b"\xff" * 1000, struct.pack("<I", 6) + b"\xff\xff" + b"\xff" * 70000):
        path.write_bytes(content)
        assert shape(path) is None


def test_one_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        shape(tmp_path / "model.bin")

"""What kind of model a folder holds."""

import struct
from pathlib import Path

import pytest

from hailo_whisper.models.format import check_whisper
from hailo_whisper.models.unusable import ModelUnusable


def head(name: bytes) -> bytes:
    """How CTranslate2 begins the weights of a model."""
    return struct.pack("<IH", 6, len(name) + 1) + name + b"\0" + struct.pack("<I", 3) + bytes(200)


def refused(folder: Path) -> str:
    with pytest.raises(ModelUnusable) as caught:
        check_whisper(folder)
    assert str(caught.value).startswith(f"The model folder {folder} holds a model for ")
    assert "hailo-whisper models" in str(caught.value)
    return str(caught.value)


def test_whisper_of_ctranslate2(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(head(b"WhisperSpec"))
    check_whisper(tmp_path)


@pytest.mark.parametrize(
    ("file", "whose", "cure"),
    [
        ("whisper-base.hef", "a Hailo accelerator", "Set model.path"),
        ("base.pt", "OpenAI's own Whisper", "`hailo-whisper models import`"),
        ("model.safetensors", "the library Transformers", "Set model.path"),
        ("encoder.onnx", "ONNX Runtime", "Set model.path"),
        ("ggml-base.gguf", "whisper.cpp", "Set model.path"),
    ],
)
def test_a_model_of_another_program(tmp_path: Path, file: str, whose: str, cure: str) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / file).write_text("x")
    sentence = refused(tmp_path)
    assert f"holds a model for {whose}, and this service needs Whisper in CTranslate2 form. " in sentence
    assert cure in sentence


@pytest.mark.parametrize(
    ("data", "whose"),
    [
        (head(b"TransformerSpec"), "another task (it is a TransformerSpec of CTranslate2)"),
        (b"lmgg" + bytes(200), "another program"),
        (b"\xff" * 200, "another program"),
        (b"<!DOCTYPE html>" + b" " * 200, "another program"),
    ],
)
def test_weights_that_are_not_whispers(tmp_path: Path, data: bytes, whose: str) -> None:
    (tmp_path / "model.bin").write_bytes(data)
    assert whose in refused(tmp_path)


@pytest.mark.parametrize("data", [b"", b"{}", head(b"WhisperSpec")[:20]])
def test_weights_that_are_too_short_to_tell_are_left_to_others(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "model.bin").write_bytes(data)
    check_whisper(tmp_path)


def test_what_is_no_folder_is_left_to_others(tmp_path: Path) -> None:
    check_whisper(tmp_path / "none")
    (tmp_path / "file").write_text("x")
    check_whisper(tmp_path / "file")
    (tmp_path / "model.bin").mkdir()
    check_whisper(tmp_path)

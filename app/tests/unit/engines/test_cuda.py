"""The GPU of the CTranslate2 engine where it cannot be used: a sentence with the cure. No machine of the tests has one."""

from pathlib import Path

import pytest

from hailo_whisper.accelerators import cuda_probe, nvidia
from hailo_whisper.accelerators.nodes import Node
from hailo_whisper.engines import cuda
from hailo_whisper.engines.ctranslate2 import CTranslate2Engine
from hailo_whisper.engines.engine import ModelConfig
from hailo_whisper.engines.trouble import DeviceTrouble, NoMemory, Trouble

NODES = tuple(Node(f"/dev/{name}", "root", "root", 0o666, True) for name in ("nvidia0", "nvidiactl", "nvidia-uvm"))
WHOLE = nvidia.Nvidia((), NODES, "550.1", (), {})
NOWHERE = Path("/nowhere")


@pytest.fixture
def none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a GPU, also where the tests have one."""
    monkeypatch.setattr(cuda_probe, "answer", lambda: {"gpus": [], "cuda": None, "trouble": "the driver has failed"})
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def test_without_a_gpu_the_engine_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "ROOT", tmp_path)
    with pytest.raises(DeviceTrouble, match=r"there is no NVIDIA GPU.*engine\.kind"):
        CTranslate2Engine().load(ModelConfig(tmp_path, "int8", 1, device="cuda"))


def test_a_gpu_that_ctranslate2_does_not_find(none: None) -> None:
    with (
        pytest.raises(DeviceTrouble, match="cannot be used: the driver has failed"),
        cuda.usable(NOWHERE, survey=lambda _: WHOLE),
    ):
        pytest.fail("it is not loaded")


def test_a_library_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "libcublas.so.12"
    path.write_text("no library")
    found = nvidia.Nvidia((), NODES, "550.1", (), {"libcublas.so.12": str(path)})
    with pytest.raises(Trouble, match=r"libcublas\.so\.12 cannot be loaded"), cuda.usable(NOWHERE, survey=lambda _: found):
        pytest.fail("it is not loaded")


@pytest.mark.parametrize(
    ("said", "kind", "cure"),
    [
        (
            "CUDA failed with error CUDA driver version is insufficient for CUDA runtime version",
            Trouble,
            "Update the NVIDIA driver",
        ),
        ("CUDA failed with error out of memory", NoMemory, "stop other programs on it"),
        ("cuBLAS failed with status CUBLAS_STATUS_ALLOC_FAILED", NoMemory, "stop other programs on it"),
        ("parallel_for failed: cudaErrorInvalidDevice: invalid device ordinal", NoMemory, "stop other programs on it"),
        ("parallel_for failed: cudaErrorIllegalAddress: an illegal memory access was encountered", DeviceTrouble, "dmesg"),
        ("cuBLAS failed with status CUBLAS_STATUS_NOT_SUPPORTED", Trouble, "model.compute_type to auto, or to float16"),
        ("Unable to load any of {libcudnn_ops.so.9.1.0, libcudnn_ops.so.9}", DeviceTrouble, "nvidia-cudnn-cu12"),
        ("Cannot load symbol cudnnCreateConvolutionDescriptor", DeviceTrouble, "nvidia-cudnn-cu12"),
        ("cuDNN failed with status CUDNN_STATUS_NOT_INITIALIZED", DeviceTrouble, "nvidia-cudnn-cu12"),
        ("CUDA failed with error no CUDA-capable device is detected", DeviceTrouble, "nvidia-smi"),
        ("Library libcublas.so.12 is not found or cannot be loaded", DeviceTrouble, "nvidia-cublas-cu12"),
        ("CUDA failed with error an illegal memory access was encountered", DeviceTrouble, "dmesg"),
        (
            "Requested int8_float16 compute type, but the target device or backend do not support efficient int8_float16 computation.",
            Trouble,
            "model.compute_type to auto",
        ),
    ],
)
def test_what_cuda_says_has_its_cure(said: str, kind: type[Trouble], cure: str) -> None:
    found = cuda.trouble(RuntimeError(said))
    assert type(found) is kind
    assert cure in str(found)
    assert "engine.kind" in str(found)


def test_other_errors_keep_their_words(monkeypatch: pytest.MonkeyPatch) -> None:
    import ctranslate2

    monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: 1)
    with pytest.raises(RuntimeError, match=r"^model\.bin is broken$"), cuda.usable(NOWHERE, survey=lambda _: WHOLE):
        raise RuntimeError("model.bin is broken")
    with pytest.raises(NoMemory, match="too little memory"), cuda.usable(NOWHERE, survey=lambda _: WHOLE):
        raise RuntimeError("CUDA failed with error out of memory")

"""The CTranslate2 engine on a GPU whose CUDA fails under way, or has little memory; the model is a fake."""

from pathlib import Path
from typing import Any

import pytest
import scripted_gpu
from fake_whisper import FakeWhisper, sound
from scripted_gpu import Gpu, GpuWhisper

from hailo_whisper.accelerators import cuda_memory
from hailo_whisper.engines.ctranslate2 import BATCH_SECONDS, CTranslate2Engine
from hailo_whisper.engines.engine import ModelConfig, Options, Strain
from hailo_whisper.engines.trouble import DeviceTrouble, NoMemory, Trouble

ENGLISH = Options(language="en", beam=3)
pytestmark = pytest.mark.usefixtures("fakes")


@pytest.fixture
def on_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CTranslate2Engine:
    (tmp_path / "config.json").write_text('{"alignment_heads": [[3, 1], [5, 2]]}')
    scripted_gpu.put_in(tmp_path, monkeypatch.setattr)
    engine = CTranslate2Engine()
    engine.load(ModelConfig(tmp_path, "int8", 2, device="cuda"))
    return engine


@pytest.fixture
def model(on_a_gpu: CTranslate2Engine) -> GpuWhisper:
    whisper: GpuWhisper = on_a_gpu._whisper._model.model
    return whisper


@pytest.mark.parametrize("step", ["encode", "generate", "align", "detect_language"])
@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("CUDA failed with error an illegal memory access was encountered", "The GPU failed: CUDA failed"),
        ("CUDA failed with error out of memory", "too little memory left"),
        ("cuBLAS failed with status CUBLAS_STATUS_EXECUTION_FAILED", "The GPU failed: cuBLAS failed"),
    ],
)
def test_what_fails_is_the_device(
    on_a_gpu: CTranslate2Engine,
    model: FakeWhisper,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    said: str,
    sentence: str,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError(said)

    monkeypatch.setattr(model, step, fail)
    with pytest.raises(DeviceTrouble, match=sentence):
        on_a_gpu.transcribe([sound(2)], Options(language=None, beam=1, words=True))


def test_other_errors_are_not(on_a_gpu: CTranslate2Engine, model: FakeWhisper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "generate", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("the prompt is too long")))
    with pytest.raises(RuntimeError, match=r"^the prompt is too long$"):
        on_a_gpu.transcribe([sound(2)], ENGLISH)


def test_nor_is_anything_on_a_cpu(engine: CTranslate2Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = FakeWhisper()
    monkeypatch.setattr(failing, "generate", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("out of memory")))
    monkeypatch.setattr(engine._whisper._model, "model", failing)
    with pytest.raises(RuntimeError, match=r"^out of memory$"):
        engine.transcribe([sound(2)], ENGLISH)


def test_a_batch_is_as_large_as_there_is_memory_for(on_a_gpu: CTranslate2Engine, tmp_path: Path) -> None:
    assert on_a_gpu.capabilities.batch == 16
    for free, batch in ((5_000_000_000, 4), (2_000_000_000, 1), (1, 1)):
        Gpu(free=free).write(tmp_path)
        on_a_gpu.load(ModelConfig(tmp_path, "int8", 2, device="cuda"))
        assert on_a_gpu.capabilities.batch == batch
    assert "little memory left beside the model" in (on_a_gpu.strain.sentence or "")
    on_a_gpu.load(ModelConfig(tmp_path, "int8", 2, device="cuda", batch=6))
    assert on_a_gpu.capabilities.batch == 6, "as it was set"


def test_without_a_word_from_the_driver_it_is_as_on_a_cpu(
    on_a_gpu: CTranslate2Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda_memory, "look", lambda _: None)
    on_a_gpu.load(ModelConfig(tmp_path, "int8", 2, device="cuda"))
    assert on_a_gpu._headroom.seconds == BATCH_SECONDS
    assert on_a_gpu.strain == Strain()


@pytest.mark.parametrize("leaves", [False, True])
def test_a_batch_that_does_not_fit_is_halved(
    on_a_gpu: CTranslate2Engine, model: GpuWhisper, tmp_path: Path, leaves: bool
) -> None:
    Gpu(holds=22.0, leaves=leaves).write(tmp_path)
    results = on_a_gpu.transcribe([sound(2)] * 8, ENGLISH)
    assert len(results) == 8
    assert all(found.segments for found in results), "and nothing is lost"
    assert max(model.batches) == 2, "of the 8 s that each takes"
    assert sum(model.batches) == 8
    assert on_a_gpu.strain.times >= 2
    assert "The GPU ran out of memory" in (on_a_gpu.strain.sentence or "")
    before = on_a_gpu.strain.times
    on_a_gpu.transcribe([sound(2)] * 8, ENGLISH)
    assert on_a_gpu.strain.times == before, "it has learnt from it"


def test_one_window_that_does_not_fit_is_told(on_a_gpu: CTranslate2Engine, tmp_path: Path) -> None:
    Gpu(holds=9.0).write(tmp_path)
    assert on_a_gpu.transcribe([sound(2)], ENGLISH)
    with pytest.raises(NoMemory, match="too little memory left"):
        on_a_gpu.transcribe([sound(20)], ENGLISH)
    assert on_a_gpu.transcribe([sound(2)], ENGLISH), "what is shorter still fits"


def test_a_compute_type_that_the_card_lacks(on_a_gpu: CTranslate2Engine, tmp_path: Path) -> None:
    Gpu(types=("float32", "int8", "int8_float32")).write(tmp_path)
    with pytest.raises(Trouble, match=r"The GPU does not compute in int8_float16.* It does in float32, int8, int8_float32"):
        on_a_gpu.load(ModelConfig(tmp_path, "int8_float16", 2, device="cuda"))
    for wanted in ("auto", "default", "int8"):
        on_a_gpu.load(ModelConfig(tmp_path, wanted, 2, device="cuda"))


@pytest.mark.parametrize("compute_type", scripted_gpu.TYPES)
def test_every_format_of_numbers_is_one_that_it_works_in(on_a_gpu: CTranslate2Engine, tmp_path: Path, compute_type: str) -> None:
    on_a_gpu.load(ModelConfig(tmp_path, compute_type, 2, device="cuda"))
    (heard,) = on_a_gpu.transcribe([sound(2)], Options(language=None, beam=1, words=True))
    assert heard.segments
    assert heard.segments[0].words


def test_a_gpu_that_is_not_there(on_a_gpu: CTranslate2Engine, tmp_path: Path) -> None:
    for count, there in ((1, "the only GPU is number 0"), (2, "the GPUs are numbers 0 to 1")):
        Gpu(count=count).write(tmp_path)
        with pytest.raises(Trouble, match=rf"no GPU of number 3.*cuda\.device_index.*{there}"):
            on_a_gpu.load(ModelConfig(tmp_path, "int8", 2, device="cuda", device_index=3))


def test_a_model_that_does_not_fit_is_told_with_what_it_takes(on_a_gpu: CTranslate2Engine, tmp_path: Path) -> None:
    Gpu(free=1_000_000_000, total=4_000_000_000, at_load=scripted_gpu.NO_MEMORY).write(tmp_path)
    with pytest.raises(NoMemory, match=r"takes about 3236 MB in int8_float16, and 1000 of its 4000 MB are free\.$"):
        on_a_gpu.load(ModelConfig(tmp_path, "int8", 2, device="cuda"))

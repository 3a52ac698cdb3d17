"""CUDA fails: the device is to blame, and not the recording. In process, with a real worker and the real engine; CUDA is scripted."""

from pathlib import Path

import httpx
import numpy as np
import pytest
from media import wav
from polling import eventually
from scripted_gpu import ENGINE, GONE, NO_CUBLAS, NO_CUDNN, NO_MEMORY, STICKY, Gpu
from serving import Served, serving

from hailo_whisper.engines import pauses
from hailo_whisper.engines.warm_up import warm_up

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def gpu(tmp_path: Path) -> Path:
    """The model's folder of the GPU."""
    folder = tmp_path / "gpu"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def recording() -> bytes:
    """The clip six times, with pauses at which it is cut: a window each."""
    with warm_up(5).waveform as waveform:
        clip = (waveform.samples() * 32767).astype(np.int16)
    pause = np.zeros(16000 * 5 // 2, np.int16)
    return wav(np.concatenate([clip, pause] * 6))


def metric(text: str, name: str) -> float:
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(f"hailo_whisper_{name}"))


async def metrics(served: Served) -> str:
    return (await served.client.get("/metrics")).text


def refused(response: httpx.Response) -> str:
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    return str(response.json()["error"]["message"])


@pytest.mark.parametrize("said", [STICKY, GONE])
async def test_its_worker_is_replaced_at_once(gpu: Path, said: str, clip_words: str) -> None:
    Gpu(at_work=said).write(gpu)
    async with serving(gpu, engine=ENGINE) as served:
        await served.until_ready()
        message = refused(await served.transcribe("say hello"))
        assert message.startswith("The device failed twice while it transcribed this")
        assert said in message
        assert served.supervisor.restarts == 2, "not after so many batches as an engine may raise over"
        Gpu().write(gpu)
        assert (await served.transcribe()).json()["text"] == clip_words


@pytest.mark.parametrize("said", [STICKY, GONE, NO_MEMORY])
async def test_the_cpu_saves_the_request(gpu: Path, said: str, model_folder: Path) -> None:
    Gpu(at_work=said).write(gpu)
    async with serving(gpu, engine=ENGINE, stand_in=model_folder) as served:
        await served.until_ready()
        response = await served.transcribe("say hello")
        assert (response.status_code, response.json()["text"]) == (200, "hello")
        assert "say 1" in (model_folder / "batches").read_text()


@pytest.mark.parametrize("said", [STICKY, NO_MEMORY, NO_CUBLAS, NO_CUDNN])
async def test_one_that_fails_at_the_start_is_tried_again_soon(gpu: Path, said: str, clip_words: str) -> None:
    Gpu(at_load=said).write(gpu)
    async with serving(gpu, engine=ENGINE) as served:
        await eventually(lambda: served.supervisor.failed_starts >= 4)
        assert said in (served.supervisor.reason or "")
        assert (served.supervisor.next_start or 0) <= pauses.DEVICE
        assert (metric(await metrics(served), 'out_of_memory_total{at="load"}') > 0) == (said == NO_MEMORY)
        Gpu().write(gpu)
        await served.until_ready()
        await served.assert_serves(clip_words)


async def test_a_model_that_does_not_fit_says_what_it_takes(gpu: Path) -> None:
    Gpu(at_load=NO_MEMORY, free=900_000_000, total=2_000_000_000).write(gpu)
    async with serving(gpu, engine=ENGINE) as served:
        await served.until_state("failed")
        reason = served.supervisor.reason or ""
        assert reason.endswith("The model takes about 3236 MB in int8_float16, and 900 of its 2000 MB are free.")
        assert "engine.kind to ctranslate2 (the CPU)" in reason


async def test_a_batch_that_does_not_fit_is_done_in_halves_and_said(gpu: Path, recording: bytes, clip_words: str) -> None:
    async with serving(gpu, engine=ENGINE) as served:
        await served.until_ready()
        assert (await served.readiness())[1]["reason"] is None
        Gpu(holds=20.0, leaves=True).write(gpu)
        response = await served.send(recording)
        assert (response.status_code, response.json()["text"]) == (200, clip_words * 6), "nothing is lost"
        status, body = await served.readiness()
        assert (status, body["degraded"], body["worker_restarts"]) == (200, False, 0)
        assert body["reason"].startswith("The GPU ran out of memory, and batches are smaller: ")
        assert "nvidia-smi" in body["reason"]
        assert metric(await metrics(served), 'out_of_memory_total{at="batch"}') >= 1
        await served.assert_serves(clip_words)


async def test_where_not_even_one_window_fits_the_request_is_refused_and_the_service_stays(gpu: Path, clip_words: str) -> None:
    Gpu(at_work=NO_MEMORY).write(gpu)
    async with serving(gpu, engine=ENGINE) as served:
        await served.until_ready()
        pid = served.supervisor.pid
        message = refused(await served.transcribe("say hello"))
        assert message.startswith("There is no memory for this now, not even for one window at a time")
        assert "`nvidia-smi` shows who has it" in message
        await served.assert_serves(clip_words)
        assert (served.supervisor.pid, served.supervisor.restarts) == (pid, 0), "the model is still loaded"
        # Batches in a row of which none fits: the next process begins without what this one holds.
        for _ in range(2):
            refused(await served.transcribe("say hello"))
        await eventually(lambda: served.supervisor.restarts == 1)
        await served.assert_serves(clip_words)


async def test_a_compute_type_that_the_card_lacks_is_refused_by_name(gpu: Path) -> None:
    Gpu(types=("float32", "int8", "int8_float32")).write(gpu)
    async with serving(gpu, engine=ENGINE, config={"model": {"compute_type": "float16"}}) as served:
        await served.until_state("failed")
        assert "does not compute in float16 (model.compute_type). It does in float32, int8, int8_float32" in (
            served.supervisor.reason or ""
        )

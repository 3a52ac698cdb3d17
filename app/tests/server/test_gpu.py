"""CUDA fails: the device is to blame, and not the recording. In process, with a real worker; the GPU is scripted."""

from pathlib import Path

import pytest
from polling import eventually
from scripted_gpu import ENGINE
from serving import serving

from hailo_whisper.engines import pauses

pytestmark = pytest.mark.usefixtures("quick")

STICKY = "CUDA failed with error an illegal memory access was encountered"
NO_MEMORY = "CUDA failed with error out of memory"


@pytest.fixture
def gpu(tmp_path: Path) -> Path:
    """The model's folder of the GPU."""
    folder = tmp_path / "gpu"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("said", [STICKY, NO_MEMORY])
async def test_its_worker_is_replaced_at_once(gpu: Path, said: str, clip_words: str) -> None:
    (gpu / "at-work").write_text(said)
    async with serving(gpu, engine=ENGINE) as served:
        await served.until_ready()
        response = await served.transcribe("say hello")
        assert response.status_code == 503
        assert response.json()["error"]["message"].startswith("The device failed twice while it transcribed this")
        assert said in response.json()["error"]["message"]
        assert served.supervisor.restarts == 2, "not after so many batches as an engine may raise over"
        (gpu / "at-work").unlink()
        assert (await served.transcribe()).json()["text"] == clip_words


@pytest.mark.parametrize("said", [STICKY, NO_MEMORY])
async def test_the_cpu_saves_the_request(gpu: Path, said: str, model_folder: Path) -> None:
    (gpu / "at-work").write_text(said)
    async with serving(gpu, engine=ENGINE, stand_in=model_folder) as served:
        await served.until_ready()
        response = await served.transcribe("say hello")
        assert (response.status_code, response.json()["text"]) == (200, "hello")
        assert "say 1" in (model_folder / "batches").read_text()


@pytest.mark.parametrize("said", [STICKY, NO_MEMORY])
async def test_one_that_fails_at_the_start_is_tried_again_soon(gpu: Path, said: str) -> None:
    (gpu / "at-load").write_text(said)
    async with serving(gpu, engine=ENGINE) as served:
        await eventually(lambda: served.supervisor.failed_starts >= 4)
        assert said in (served.supervisor.reason or "")
        assert (served.supervisor.next_start or 0) <= pauses.DEVICE

"""An encoder and a decoder on an emulated Hailo-8, in the real worker process."""

import asyncio
import contextlib
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import media
import pytest
from emulated import Device
from polling import eventually, until
from serving import AMPLE, command, server_process, serving

from hailo_whisper.engines import pauses
from hailo_whisper.models import catalog
from hailo_whisper.models.pull import pull
from hailo_whisper.models.sources import FolderSource
from hailo_whisper.models.store import Store

# What the clip takes, so that nothing of it is left to be heard.
TEN: dict[str, Any] = {"seconds": 10.0, "places": 64, "until": 5.2}
ENGINE = "hailo_whisper.engines.hailo.engine:HailoEngine"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, impatient: None) -> None:
    monkeypatch.setattr(pauses, "DEVICE", 0.3)


@pytest.fixture
def folder(device: Device, tmp_path: Path, clip_words: str) -> Path:
    device.become("4.23.0")
    return device.pair(tmp_path / "pair", says=clip_words, **TEN)


async def test_a_recording_with_all_its_figures(folder: Path, clip_words: str) -> None:
    async with serving(folder, engine=ENGINE) as served:
        await served.until_ready()
        body = (await served.transcribe(response_format="verbose_json")).json()
        assert body["language"] == "english"
        first = body["segments"][0]
        assert first["text"].strip() == clip_words
        assert -0.1 < first["avg_logprob"] < 0
        assert 0 < first["no_speech_prob"] < 0.1
        assert first["tokens"]
        (model,) = (await served.client.get("/v1/models")).json()["data"]
        assert model["capabilities"]["unavailable"] == []


async def test_the_probability_of_each_token(folder: Path, clip_words: str) -> None:
    async with serving(folder, engine=ENGINE) as served:
        await served.until_ready()
        response = await served.transcribe(response_format="json", **{"include[]": "logprobs"})
        body = response.json()
        assert response.status_code == 200, body
        assert "".join(token["token"] for token in body["logprobs"]) == body["text"]
        assert all(token["logprob"] <= 0 for token in body["logprobs"])


async def test_a_language_that_is_detected_is_told(device: Device, tmp_path: Path, clip_words: str) -> None:
    device.become("4.23.0")
    folder = device.pair(tmp_path / "pair", says=clip_words, **TEN, told={"also": {50261: 9.0}})
    async with serving(folder, engine=ENGINE, config={"transcription": {"language": None}}) as served:
        await served.until_ready()
        body = (await served.transcribe(response_format="verbose_json")).json()
        assert body["language"] == "german"


async def test_windows_are_as_short_as_the_encoder_wants_them(folder: Path, clip_words: str) -> None:
    everything: dict[str, Any] = {"vad": {"enabled": False}}
    async with serving(folder, engine=ENGINE, config=everything) as served:
        await served.until_ready()
        body = (await served.send(media.silence(17), response_format="verbose_json")).json()
        starts = [segment["start"] for segment in body["segments"]]
        assert starts == sorted(starts)
        assert len(starts) >= 2
        assert starts[-1] > 5
        assert all(segment["end"] - segment["start"] <= 10 for segment in body["segments"])


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": "Names"}, "prompt"),
        ({"keywords[]": "Hailo"}, "keywords[]"),
        ({"response_format": "verbose_json", "timestamp_granularities[]": "word"}, "timestamp_granularities[]"),
    ],
    ids=str,
)
async def test_what_it_cannot_do_is_refused(folder: Path, fields: dict[str, str], param: str) -> None:
    async with serving(folder, engine=ENGINE) as served:
        await served.until_ready()
        response = await served.transcribe(**fields)
        assert (response.status_code, response.json()["error"]["param"]) == (400, param)


async def test_a_hung_device_is_killed_and_replaced(device: Device, folder: Path, clip_words: str) -> None:
    deadline = 1.0
    async with serving(folder, engine=ENGINE, patience=replace(AMPLE, batch=deadline)) as served:
        await served.until_ready()
        hung = served.supervisor.pid
        device.tell("infer hang")
        began = time.monotonic()
        response = await served.transcribe()
        assert response.status_code in (500, 503, 504)
        assert deadline <= time.monotonic() - began < deadline + 2
        device.tell()
        await served.until_ready()
        assert served.supervisor.pid != hung
        assert clip_words in (await served.transcribe()).json()["text"]


@pytest.mark.parametrize("told", ["absent", "infer raise 62"])
async def test_a_device_that_goes_away_and_comes_back(device: Device, folder: Path, clip_words: str, told: str) -> None:
    async with serving(folder, engine=ENGINE) as served:
        await served.until_ready()
        device.tell(told)
        response = await served.transcribe()
        assert response.status_code == 503, response.text
        assert "Hailo device was found" in response.text or "connection to the device was closed" in response.text
        device.tell()
        await served.until_ready()
        assert clip_words in (await served.transcribe()).json()["text"]


async def test_what_does_not_fit_is_the_reason_of_not_being_ready(folder: Path, device: Device) -> None:
    device.tell("arch HAILO8L")
    async with serving(folder, engine=ENGINE) as served:

        async def says() -> bool:
            code, body = await served.readiness()
            return code == 503 and "was made for hailo8, and the device is a HAILO8L" in body["reason"]

        await eventually(says)
        device.tell()
        await served.until_ready()


async def test_of_two_services_one_has_it_whatever_the_group(folder: Path, clip_words: str) -> None:
    async with contextlib.AsyncExitStack() as first:
        one = await first.enter_async_context(serving(folder, engine=ENGINE, group="SHARED"))
        await one.until_ready()
        async with serving(folder, engine=ENGINE, group="SHARED", device_wait=60) as two:

            async def waits() -> bool:
                code, body = await two.readiness()
                return code == 503 and body["status"] == "loading" and "is for one program at a time" in body["reason"]

            await eventually(waits)
            assert clip_words in (await one.transcribe()).json()["text"]
            await first.aclose()
            await two.until_ready()
            assert clip_words in (await two.transcribe()).json()["text"]


async def test_two_services_share_a_hailo_10h(device: Device, tmp_path: Path, clip_words: str) -> None:
    device.become("5.2.0")
    folder = device.pair(tmp_path / "pair", "hailo10h", says=clip_words, **TEN)
    async with serving(folder, engine=ENGINE, group="SHARED") as one, serving(folder, engine=ENGINE, group="SHARED") as two:
        await one.until_ready()
        await two.until_ready()
        replies = await asyncio.gather(one.transcribe(), two.transcribe())
        assert all(clip_words in reply.json()["text"] for reply in replies)


def test_a_server_as_an_administrator_starts_it(device: Device, folder: Path, tmp_path: Path, clip_words: str) -> None:
    """A pair of the catalog, pulled from a stick: `base` is that model on a Hailo-8, and its sums are those of its first pull."""
    name = "whisper-base-hailo8"
    files = {("encoder" in file, file.endswith(".npy")): file for file in catalog.load().get(name).files}
    for part, file in (
        ("my-encoder.hef", (True, False)),
        ("my-decoder.hef", (False, False)),
        ("token_embedding_weight_my.npy", (False, True)),
    ):
        (folder / part).rename(folder / files[file])
    store = Store(tmp_path / "store", catalog.load())
    assert pull(name, store, [FolderSource(folder)]).change == "pulled"
    store.verify(name)
    settings: dict[str, dict[str, Any]] = {
        "engine": {"kind": "hailo"},
        "model": {"name": "base", "path": None},
        "storage": {"models": str(store.root)},
    }

    def argv(config: Path) -> list[str]:
        return command(config)[:-2]

    with server_process(tmp_path, folder, argv=argv, more=settings) as server:
        until(server.ready)
        assert server.transcribe().json()["text"] == clip_words
        (model,) = server.client.get("/v1/models").json()["data"]
        assert (model["id"], model["capabilities"]["unavailable"]) == ("base", [])
    vectors = store.root / name / files[False, True]
    vectors.write_bytes(vectors.read_bytes()[:-1] + b"?")
    with server_process(tmp_path, folder, argv=argv, more=settings) as server:

        def damaged() -> bool:
            try:
                return "is damaged" in server.client.get("/health/ready").text
            except httpx.TransportError:
                return False

        until(damaged)
        assert f"models pull {name} --force" in server.client.get("/health/ready").json()["reason"]

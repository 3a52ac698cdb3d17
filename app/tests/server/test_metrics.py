"""What a server counts of itself, as Prometheus reads it."""

from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from serving import AMPLE, Served, serving

from hailo_whisper import __version__


async def scraped(served: Served) -> dict[str, float]:
    """The samples by name and labels."""
    response = await served.client.get("/metrics")
    assert response.status_code == 200
    return parsed(response)


def parsed(response: httpx.Response) -> dict[str, float]:
    found = {}
    for family in text_string_to_metric_families(response.text):
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
            found[f"{sample.name.removeprefix('hailo_whisper_')}{{{labels}}}"] = sample.value
    return found


async def test_the_content_type_is_that_of_prometheus(model_folder: Path) -> None:
    async with serving(model_folder, patience=AMPLE) as served:
        plain = await served.client.get("/metrics")
        assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        accept = {"accept": "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5"}
        opened = await served.client.get("/metrics", headers=accept)
        assert opened.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
        assert opened.text.endswith("# EOF\n")


async def test_metrics_are_there_while_the_model_is_not(model_folder: Path) -> None:
    (model_folder / "script").write_text("slow-to-load")
    async with serving(model_folder, patience=AMPLE) as served:
        found = await scraped(served)
        assert found[f"build_info{{version={__version__}}}"] == 1
        assert found["model_state{model=base,state=ready}"] == 0
        assert found["ready{}"] == 0
        (model_folder / "go").touch()


async def test_a_transcription_is_counted_from_station_to_station(model_folder: Path) -> None:
    async with serving(model_folder, patience=AMPLE) as served:
        await served.until_ready()
        before = await scraped(served)
        assert (await served.transcribe()).status_code == 200
        found = await scraped(served)
    route = "route=/v1/audio/transcriptions"
    assert found[f"requests_total{{code=200,{route}}}"] == 1
    assert found[f"request_duration_seconds_count{{{route}}}"] == 1
    assert found["model_state{model=base,state=ready}"] == 1
    assert found["ready{}"] == 1
    for name in ("recording_duration_seconds_sum{}", "decoded_audio_seconds_total{}", "audio_seconds_total{}"):
        assert found[name] - before[name] == pytest.approx(5.3, abs=0.5), name
    for name in ("queue_wait_seconds_count{}", "batch_windows_sum{}", "decode_duration_seconds_count{}"):
        assert found[name] - before[name] == 1, name
    assert found["worker_load_seconds_count{}"] == 1
    assert [found[f"queue_{name}{{model=base}}"] for name in ("requests", "windows", "audio_seconds")] == [0, 0, 0]


async def test_a_server_that_lets_nobody_in_is_not_ready(model_folder: Path, tmp_path: Path) -> None:
    async with serving(model_folder, patience=AMPLE, config={"access": {"keys": str(tmp_path / "nonesuch")}}) as served:
        await served.until_state("keys_unavailable")
        found = await scraped(served)
    assert found["ready{}"] == 0


async def test_what_cannot_be_decoded_is_counted(model_folder: Path) -> None:
    async with serving(model_folder, patience=AMPLE) as served:
        await served.until_ready()
        files = {"file": ("clip.wav", b"no sound at all")}
        response = await served.client.post("/v1/audio/transcriptions", files=files, data={"model": "whisper-1"})
        assert response.status_code == 400
        found = await scraped(served)
    assert sum(value for name, value in found.items() if name.startswith("decode_failures_total{")) == 1


async def test_a_lost_worker_is_counted(model_folder: Path) -> None:
    async with serving(model_folder, patience=AMPLE) as served:
        await served.until_ready()
        assert (await served.transcribe("crash-once")).status_code == 200
        await served.until_ready()
        found = await scraped(served)
    assert sum(value for name, value in found.items() if name.startswith("worker_restarts_total{")) == 1
    assert found["worker_load_seconds_count{}"] == 2

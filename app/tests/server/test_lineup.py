"""Several models: each has a worker of its own, which is loaded at its first request and unloaded when others need its memory."""

import asyncio
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from offering import NAMES, ROOMY, found, offering, said, states, until_all, worker
from polling import eventually, until
from serving import AMPLE, alive, server_process, serving, write_config
from stored import place, store_of

from hailo_whisper.cli.choice import Choice
from hailo_whisper.models.store import Store

pytestmark = pytest.mark.usefixtures("impatient")


async def test_a_model_is_loaded_by_its_first_request(store: Store) -> None:
    small = place(store, "small")
    async with offering(store) as served:
        await served.until_ready()
        await until_all(served, base="ready", small="unloaded")
        listed = {model["id"]: model for model in (await served.client.get("/v1/models")).json()["data"]}
        assert list(listed) == list(NAMES), "the configured model comes first"
        assert listed["small"]["capabilities"] is None
        assert worker(served, "small") is None
        assert [(each.model, each.answers, each.stand_in, each.engine) for each in served.lineup.loaded()] == [
            ("base", "base", False, "scripted_engine")
        ]
        assert await said(served, "small", "hello") == "hello"
        assert (small / "batches").read_text().splitlines()[-1] == "say 1", "it was this model that heard it"
        assert await states(served) == {"base": "ready", "small": "ready", "tiny": "failed"}
        assert [each.model for each in served.lineup.loaded()] == ["base", "small"]
        assert (await served.client.get("/v1/models/small")).json()["capabilities"]["words"]
        assert worker(served, "small") not in (None, worker(served, "base"))
        metrics = (await served.client.get("/metrics")).text.splitlines()
        for name in ("base", "small"):
            assert f'hailo_whisper_model_state{{model="{name}",state="ready"}} 1.0' in metrics


async def test_openais_names_stay_the_configured_models(store: Store) -> None:
    place(store, "small")
    async with offering(store) as served:
        await served.until_ready()
        for name in ("whisper-1", "base", "gpt-4o-transcribe"):
            assert await said(served, name, "hello") == "hello"
        assert (store.root / "base/batches").read_text().count("say") == 3
        assert worker(served, "small") is None
        assert (await served.client.get("/v1/models/whisper-1")).json()["alias_of"] == "base"
        response = await served.transcribe(model="large")
        assert response.status_code == 404
        assert response.json()["error"]["message"] == (
            "The model `large` does not exist here. Use `base`, `small`, `tiny` (GET /v1/models lists them) or `whisper-1`."
        )


async def test_what_the_catalog_calls_a_model_besides_is_a_name_of_it_too(store: Store) -> None:
    place(store, "small")
    async with offering(store) as served:
        await served.until_ready()
        await until_all(served, small="unloaded")
        assert await said(served, "the-small", "hello") == "hello"
        assert worker(served, "small")
        assert (await served.client.get("/v1/models/the-small")).json()["alias_of"] == "small"
        assert (await served.client.get("/v1/models/the-base")).json()["alias_of"] == "base"


async def test_a_missing_one_says_what_to_do_and_is_picked_up(store: Store) -> None:
    async with offering(store) as served:
        await served.until_ready()
        await until_all(served, small="failed")
        response = await served.transcribe(model="small")
        assert response.status_code == 503
        sentence = "Run `hailo-whisper models pull small`."
        assert sentence in response.json()["error"]["message"]
        assert sentence in (await served.client.get("/v1/models/small")).json()["reason"]
        status, body = await served.readiness()
        assert (status, body["status"]) == (200, "ready"), "the configured model serves all the same"
        assert [(each["model"], each["status"]) for each in body["offered"]] == [("small", "failed"), ("tiny", "failed")]
        assert sentence in body["offered"][0]["reason"]
        place(store, "small")
        await until_all(served, small="unloaded")
        assert worker(served, "small") is None, "nobody asked for it"
        assert await said(served, "small", "here") == "here"


async def test_the_configured_one_is_missing_and_another_serves(store: Store, tmp_path: Path) -> None:
    place(store, "small")
    (store.root / "base").rename(tmp_path / "away")
    async with offering(store) as served:
        await served.until_state("failed")
        assert await said(served, "small", "hello") == "hello"
        assert (await served.transcribe(model="base")).status_code == 503


async def test_keep_alive_unloads_each_by_itself(store: Store) -> None:
    place(store, "small")
    async with offering(store, patience=replace(AMPLE, keep_alive=1)) as served:
        await served.until_ready()
        await said(served, "small", "hello")
        pid = worker(served, "small")
        assert pid
        await until_all(served, base="unloaded", small="unloaded")
        await eventually(lambda: not alive(pid))
        assert await said(served, "small", "again") == "again"


async def test_one_that_crashes_costs_the_others_nothing(store: Store) -> None:
    place(store, "small")
    async with offering(store) as served:
        await served.until_ready()
        base = worker(served, "base")
        response = await served.transcribe("crash", model="small")
        assert response.status_code == 500
        assert worker(served, "base") == base
        assert await said(served, "small", "again") == "again"
        assert (await served.readiness())[1]["worker_restarts"] == 0


async def test_one_that_cannot_be_loaded_is_not_tried_again_and_again_for_nobody(store: Store) -> None:
    small = place(store, "small", "raise-at-load")
    async with offering(store) as served:
        await served.until_ready()
        response = await served.transcribe(model="small")
        assert response.status_code == 503
        assert "the accelerator is on fire" in response.json()["error"]["message"]
        await until_all(served, small="unloaded")
        (small / "script").write_text("")
        assert await said(served, "small", "hello") == "hello"


@pytest.mark.parametrize(("limits", "before"), [({"requests": 1}, 1), ({"queued_seconds": 12}, 2)])
async def test_the_limits_hold_for_all_together(store: Store, limits: dict[str, Any], before: int) -> None:
    place(store, "small")
    async with offering(store, limits=limits) as served:
        await served.until_ready()
        busy = [asyncio.create_task(served.transcribe("wait go")) for _ in range(before)]
        await eventually((store.root / "base/waiting").exists)
        # Of two, which are not of one batch, the other waits in the queue.
        await eventually(lambda: served.scheduler.requests == before and served.scheduler.waiting == before - 1)
        full = await served.client.get("/health/ready", params={"full": "404"})
        assert (full.status_code, f"limits.{next(iter(limits))}" in full.json()["full"]) == (404, True)
        refused = await served.transcribe(model="small")
        assert refused.status_code == 429
        assert f"limits.{next(iter(limits))}" in refused.json()["error"]["message"]
        (store.root / "base/go").touch()
        assert [(await each).status_code for each in busy] == [200] * before


async def test_a_stand_in_that_is_offered_too_is_loaded_once(store: Store, tmp_path: Path) -> None:
    place(store, "small")
    (store.root / "base").rename(tmp_path / "away")
    stands_in = Choice(store, "base", engine="ctranslate2", fallback=["small"]).find
    config = {"models": {"memory_mb": ROOMY}}
    async with serving(stands_in, offered={"small": found(store, "small")}, config=config) as served:
        await served.until_ready()
        (model,) = (await served.client.get("/v1/models")).json()["data"]
        assert (model["id"], model["fallback_for"]) == ("small", "base")
        assert await said(served, "small", "hello") == "hello"
        assert [hosted.supervisor.pid is None for hosted in served.lineup.offered] == [True]


async def test_shutting_down_ends_every_worker(store: Store) -> None:
    place(store, "small")
    async with offering(store) as served:
        await served.until_ready()
        await said(served, "small", "hello")
        pids = [worker(served, name) for name in ("base", "small")]
    await eventually(lambda: not any(pid is None or alive(pid) for pid in pids))


def test_a_reload_offers_more_and_less_and_loses_no_request(tmp_path: Path) -> None:
    store = store_of(tmp_path, *NAMES)
    for name in NAMES:
        place(store, name)

    def settings(*offered: str, memory_mb: int = ROOMY) -> dict[str, dict[str, Any]]:
        return {
            "model": {"path": None},
            "models": {"catalog": str(tmp_path / "models.d"), "offered": [*offered], "memory_mb": memory_mb},
            "storage": {"models": str(store.root)},
        }

    with server_process(tmp_path, tmp_path, more=settings("base", "small", "small")) as started:

        def take(more: dict[str, dict[str, Any]]) -> None:
            before = started.log.read_text().count("the configuration was taken")
            write_config(tmp_path, tmp_path, started.client.base_url.port or 0, more)
            os.kill(started.pid, signal.SIGHUP)
            until(lambda: started.log.read_text().count("the configuration was taken") > before)

        def names() -> list[str]:
            return [model["id"] for model in started.client.get("/v1/models").json()["data"]]

        def metrics(name: str) -> bool:
            return f'hailo_whisper_model_state{{model="{name}"' in started.client.get("/metrics").text

        until(started.ready)
        assert names() == ["base", "small"], "each once"
        assert started.transcribe(model="small", prompt="say hello").json()["text"] == "hello"
        worker = started.worker
        take(settings("tiny", "small"))
        assert names() == ["base", "small", "tiny"]
        assert started.worker == worker
        with ThreadPoolExecutor() as pool:
            busy = pool.submit(started.transcribe, model="small", prompt="wait go")
            until((store.root / "small/waiting").exists)
            take(settings("tiny"))
            assert names() == ["base", "tiny"]
            assert started.transcribe(model="small").status_code == 404
            assert metrics("small"), "it is in use still"
            (store.root / "small/go").touch()
            assert busy.result().status_code == 200
        until(lambda: not metrics("small"))
        assert len([pid for pid in started.children() if b"engines.worker" in cmdline(pid)]) == 1
        take(settings("tiny", memory_mb=1))
        until(lambda: "needs 500 MB" in str(started.client.get("/v1/models/tiny").json()["reason"]))
        assert started.transcribe(prompt="say still here").json()["text"] == "still here"


def cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""

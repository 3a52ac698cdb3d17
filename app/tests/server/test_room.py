"""Several models share one memory: who was idle longest makes room, who is in use stays."""

import asyncio
from dataclasses import replace

import pytest
from offering import FOR_ONE, FOR_TWO, NAMES, offering, said, states, until_all, worker
from polling import eventually
from serving import AMPLE, alive
from stored import MEMORY_MB, place

from hailo_whisper.models.store import Store

pytestmark = pytest.mark.usefixtures("impatient")


async def test_the_one_that_was_idle_longest_makes_room(store: Store) -> None:
    for name in NAMES[1:]:
        place(store, name)
    async with offering(store, FOR_TWO) as served:
        await served.until_ready()
        await said(served, "small", "one")
        small = worker(served, "small")
        assert small
        await said(served, "base", "two")
        await said(served, "tiny", "three")
        assert await states(served) == {"base": "ready", "small": "unloaded", "tiny": "ready"}
        await eventually(lambda: not alive(small))
        await said(served, "small", "four")
        assert await states(served) == {"base": "unloaded", "small": "ready", "tiny": "ready"}
        status, body = await served.readiness()
        assert (status, body["status"]) == (200, "unloaded"), "the next request loads it again"
        await said(served, "whisper-1", "five")
        assert (await states(served))["base"] == "ready"
        assert (await served.readiness())[1]["worker_restarts"] == 0, "none of this is an accident"


async def test_one_that_is_in_use_stays_and_whoever_wants_another_waits_for_it(store: Store) -> None:
    small = place(store, "small")
    async with offering(store, FOR_ONE) as served:
        await served.until_ready()
        busy = asyncio.create_task(served.transcribe("wait go"))
        await eventually((store.root / "base/waiting").exists)
        waiting = asyncio.create_task(said(served, "small", "at last"))
        await until_all(served, small="loading")
        reason = (await served.client.get("/v1/models/small")).json()["reason"]
        assert reason.startswith(f"The model small needs {MEMORY_MB} MB of memory, and of the {FOR_ONE} MB for models ")
        await asyncio.sleep(0.3)
        assert not waiting.done()
        assert not (small / "batches").exists()
        (store.root / "base/go").touch()
        assert (await busy).status_code == 200
        assert await waiting == "at last"
        assert await states(served) == {"base": "unloaded", "small": "ready", "tiny": "failed"}


async def test_nobody_waits_for_room_for_ever(store: Store) -> None:
    place(store, "small")
    async with offering(store, FOR_ONE, patience=replace(AMPLE, start=0.5)) as served:
        await served.until_ready()
        busy = asyncio.create_task(served.transcribe("wait go"))
        await eventually((store.root / "base/waiting").exists)
        response = await served.transcribe(model="small")
        assert response.status_code == 503
        message = response.json()["error"]["message"]
        assert message.endswith("taken by base, in use now. Try again in a moment, or raise models.memory_mb.")
        assert response.headers["retry-after"] == "5"
        await until_all(served, small="unloaded")
        (store.root / "base/go").touch()
        assert (await busy).status_code == 200


async def test_one_that_needs_more_than_there_is_says_so(store: Store) -> None:
    place(store, "small")
    async with offering(store, MEMORY_MB - 1) as served:
        await served.until_ready()
        response = await served.transcribe(model="small")
        assert response.status_code == 503
        assert (
            f"The model small needs {MEMORY_MB} MB of memory, and all models together may have {MEMORY_MB - 1}. "
            "Raise models.memory_mb, or offer a smaller one."
        ) in response.json()["error"]["message"]
        assert await said(served, "base", "hello") == "hello", "the configured one is loaded all the same"

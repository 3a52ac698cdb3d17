"""The configured model is not there: what the server says, what stands in for it, and how it takes its place when it comes."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from polling import eventually, until
from serving import ServerProcess, server_process, serving
from stored import content, place, store_of

from hailo_whisper.cli.choice import Choice
from hailo_whisper.models.store import Store

pytestmark = pytest.mark.usefixtures("impatient")

CONFIG = {"model": {"name": "large", "fallback": ["small", "tiny"]}}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return store_of(tmp_path, "large", "small", "tiny")


def choice(store: Store) -> Choice:
    return Choice(store, "large", engine="ctranslate2", fallback=CONFIG["model"]["fallback"])


async def test_a_stand_in_answers_and_everybody_is_told(store: Store, clip_words: str, caplog: pytest.LogCaptureFixture) -> None:
    place(store, "tiny")
    async with serving(choice(store).find, config=CONFIG) as served:
        await served.until_ready()
        for name in ("large", "tiny", "whisper-1"):
            response = await served.transcribe(model=name)
            assert (response.status_code, response.json().get("text")) == (200, clip_words)
        status, body = await served.readiness()
        assert (status, body["status"], body["model"], body["fallback_for"]) == (200, "ready", "tiny", "large")
        assert "Run `hailo-whisper models pull large`" in body["reason"]
        (model,) = (await served.client.get("/v1/models")).json()["data"]
        assert (model["id"], model["fallback_for"]) == ("tiny", "large")
        for alias in ("large", "whisper-1"):
            described = (await served.client.get(f"/v1/models/{alias}")).json()
            assert described == model | {"id": alias, "alias_of": "tiny"}
        assert (await served.transcribe(model="small")).status_code == 404
    assert body["reason"] in caplog.text


async def test_the_configured_model_takes_its_place_when_it_comes(store: Store, clip_words: str) -> None:
    place(store, "tiny")
    async with serving(choice(store).find, config=CONFIG) as served:
        await served.until_ready()
        place(store, "small")
        await eventually(lambda: served.supervisor.found and served.supervisor.found.name == "small")
        place(store, "large")
        await eventually(lambda: served.supervisor.found and served.supervisor.found.name == "large")
        await served.until_ready()
        status, body = await served.readiness()
        assert (status, body["model"], body["fallback_for"], body["reason"]) == (200, "large", None, None)
        assert body["worker_restarts"] == 0, "this is no accident"
        assert (await served.transcribe(model="large")).json()["text"] == clip_words
        (model,) = (await served.client.get("/v1/models")).json()["data"]
        assert model["id"] == "large"
        assert "fallback_for" not in model
        assert (await served.transcribe(model="tiny")).status_code == 404


async def test_the_request_in_flight_is_finished_by_the_stand_in(store: Store, clip_words: str) -> None:
    tiny = place(store, "tiny")
    async with serving(choice(store).find, config=CONFIG) as served:
        await served.until_ready()
        busy = asyncio.create_task(served.transcribe("wait go"))
        await eventually((tiny / "waiting").exists)
        place(store, "large")
        await eventually(lambda: served.supervisor.state == "loading")
        assert (await served.readiness())[1]["reason"] == "The model large can be used now, and is being loaded."
        (tiny / "go").touch()
        assert (await busy).json()["text"] == clip_words
        await served.until_ready()
        assert (await served.readiness())[1]["model"] == "large"


async def test_a_stand_in_whose_files_go_away_serves_on(store: Store, clip_words: str) -> None:
    tiny = place(store, "tiny")
    async with serving(choice(store).find, config=CONFIG) as served:
        await served.until_ready()
        tokenizer = tiny / "tokenizer.json"
        tokenizer.unlink()
        await asyncio.sleep(0.4)
        assert (await served.transcribe()).json()["text"] == clip_words


@pytest.mark.parametrize("damage", ["missing", "half", "changed", "foreign"])
async def test_without_one_it_waits_for_the_model_and_picks_it_up(damage: str, store: Store, clip_words: str) -> None:
    if damage == "half":
        (place(store, "large") / "config.json").unlink()
    if damage == "changed":
        (place(store, "large") / "config.json").write_bytes(b"[]")
    if damage == "foreign":
        store.root.mkdir()
        (store.root / "large").write_text("a file of another program")
    sentence = {
        "missing": "Run `hailo-whisper models pull large`.",
        "half": "is half downloaded: config.json is missing. Run `hailo-whisper models pull large`.",
        "changed": "is damaged: the sha256 of config.json is ",
        "foreign": "is not a folder. Remove it, then run `hailo-whisper models pull large`.",
    }[damage]
    async with serving(Choice(store, "large", engine="ctranslate2").find, config={"model": {"name": "large"}}) as served:
        await served.until_state("failed")
        status, body = await served.readiness()
        assert status == 503
        assert sentence in body["reason"]
        assert await served.health() == 200
        response = await served.transcribe()
        assert response.status_code == 503
        assert response.json()["error"]["message"] == f"The server cannot transcribe now: {body['reason']}"
        assert response.headers["retry-after"] == "10"
        if damage in ("half", "changed"):
            (store.root / "large" / "config.json").write_bytes(content("large")["config.json"])
        else:
            if damage == "foreign":
                (store.root / "large").unlink()
            place(store, "large")
        await served.until_ready()
        assert (await served.transcribe()).json()["text"] == clip_words


def test_the_log_says_what_was_loaded_from_where_with_which_sum_and_in_how_many_seconds(tmp_path: Path) -> None:
    store = store_of(tmp_path, "large", "tiny")
    folder = place(store, "tiny")
    more: dict[str, dict[str, Any]] = {
        "model": {"path": None, "name": "large", "fallback": ["tiny"]},
        "models": {"catalog": str(tmp_path / "models.d")},
        "storage": {"models": str(store.root)},
        "log": {"format": "json"},
    }
    with server_process(tmp_path, tmp_path, more=more) as started:
        until(started.ready)
        lines = [json.loads(line) for line in started.log.read_text().splitlines() if line.startswith("{")]
        (line,) = [line for line in lines if "load_seconds" in line]
        assert (line["message"], line["model"], line["path"]) == ("the worker is ready", "tiny", str(folder))
        assert line["sha256"] == store.catalog.get("tiny").files["model.bin"].sha256
        assert line["fallback_for"] == "large"
        assert line["load_seconds"] > 0
        assert line["worker_pid"] == started.worker


def test_a_catalog_that_cannot_be_read_does_not_keep_the_server_from_starting(tmp_path: Path, clip_words: str) -> None:
    store = store_of(tmp_path, "small")
    place(store, "small")
    bad = tmp_path / "models.d/bad.yaml"
    bad.write_text("modles: []")
    more: dict[str, dict[str, Any]] = {
        "model": {"path": None, "name": "small"},
        "models": {"catalog": str(tmp_path / "models.d")},
        "storage": {"models": str(store.root)},
    }
    with server_process(tmp_path, tmp_path, more=more) as started:
        until(lambda: serves(started))
        until(lambda: started.client.get("/health/ready").json()["status"] == "failed")
        assert started.client.get("/health/ready").status_code == 503
        assert str(bad) in started.client.get("/health/ready").json()["reason"]
        bad.unlink()
        until(started.ready)
        assert started.transcribe().json()["text"] == clip_words


def serves(started: ServerProcess) -> bool:
    try:
        return started.client.get("/health").status_code == 200
    except httpx.TransportError:
        return False

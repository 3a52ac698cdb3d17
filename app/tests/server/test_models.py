"""`/v1/models` and `/v1/models/{model}`: what answers, and what it can do."""

from pathlib import Path

import openai
import pytest
from serving import AMPLE, PATH, ServerProcess, serving

CAPABILITIES = {
    "languages": ["en", "de", "ar"],
    "detects_language": True,
    "translates": True,
    "prompts": True,
    "keywords": True,
    "temperature": True,
    "words": True,
    "logprobs": True,
    "window_seconds": 30.0,
    "unavailable": ["no_speech_prob"],
}


def test_the_list(server: ServerProcess) -> None:
    body = server.client.get("/v1/models").json()
    (model,) = body["data"]
    created = model.pop("created")
    assert created > 1_600_000_000
    assert model == {
        "id": "base",
        "object": "model",
        "owned_by": "hailo-whisper",
        "state": "ready",
        "reason": None,
        "engine": "scripted_engine",
        "capabilities": CAPABILITIES,
    }
    assert body["object"] == "list"


def test_the_model_by_its_name(server: ServerProcess) -> None:
    assert server.client.get("/v1/models/base").json() == server.client.get("/v1/models").json()["data"][0]


@pytest.mark.parametrize("name", ["whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe-2025-12-15", "gpt-transcribe"])
def test_the_model_by_a_name_of_the_originals(server: ServerProcess, name: str) -> None:
    own = server.client.get("/v1/models/base").json()
    assert server.client.get(f"/v1/models/{name}").json() == own | {"id": name, "alias_of": "base"}
    assert server.transcribe(model=name).status_code == 200


def test_another_name(server: ServerProcess) -> None:
    for name in ("gpt-5", "base%2F..", "%00", "a" * 5000, "WHISPER-1", "", "base/"):
        response = server.client.get(f"/v1/models/{name}")
        assert response.status_code == 404
        error = response.json()["error"]
        assert (error["code"], error["param"]) == ("model_not_found", "model")
        assert len(error["message"]) < 300


def test_a_request_that_names_no_model_or_two(server: ServerProcess) -> None:
    for names, message, code in (
        ([""], "The field `model` is missing. GET /v1/models lists what it takes.", None),
        (["base", "base"], "The field `model` is there 2 times. Send it once.", "duplicate_field"),
    ):
        response = server.client.post(PATH, files={"file": ("clip.wav", b"x")}, data={"model": names})
        assert response.status_code == 400
        error = response.json()["error"]
        assert (error["message"], error["param"], error["code"]) == (message, "model", code)


def test_by_the_official_sdk(server: ServerProcess) -> None:
    client = openai.OpenAI(base_url=f"{server.client.base_url}/v1", api_key="none", max_retries=0)
    assert [model.id for model in client.models.list()] == ["base"]
    assert client.models.retrieve("whisper-1").owned_by == "hailo-whisper"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("gpt-5")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


async def test_what_it_can_do_is_not_known_before_it_was_loaded(model_folder: Path) -> None:
    (model_folder / "script").write_text("slow-to-load")
    async with serving(model_folder, patience=AMPLE) as served:
        assert (await served.client.get("/v1/models/base")).json()["capabilities"] is None
        (model_folder / "go").touch()
        await served.until_ready()
        assert (await served.client.get("/v1/models/base")).json()["capabilities"] == CAPABILITIES

"""`/openapi.json` says what is so: replies match their schemas, and every field and address is described."""

import json
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from serving import ServerProcess

from hailo_whisper.engines.warm_up import clip

AUDIO = ("/v1/audio/transcriptions", "/v1/audio/translations")


@pytest.fixture
def document(server: ServerProcess) -> dict[str, Any]:
    found: dict[str, Any] = server.client.get("/openapi.json").json()
    return found


def check(document: dict[str, Any], path: str, response: httpx.Response) -> None:
    """Whether a reply is one that is described."""
    (operation,) = document["paths"][path].values()
    content = operation["responses"][str(response.status_code)]["content"]
    schema = content[response.headers["content-type"].split(";")[0]]["schema"]
    body = response.json() if response.headers["content-type"] == "application/json" else response.text
    Draft202012Validator(schema | {"components": document["components"]}).validate(body)


def test_every_address_is_there(document: dict[str, Any]) -> None:
    assert set(document["paths"]) == {*AUDIO, "/v1/models", "/v1/models/{model}", "/health", "/health/ready", "/metrics"}
    assert document["info"]["title"] == "hailo-whisper"
    assert document["servers"] == [{"url": "/"}]


def test_it_is_whole(document: dict[str, Any]) -> None:
    """Every reference leads somewhere, and nothing of FastAPI's own refusals is left."""
    text = json.dumps(document)
    names = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names <= set(document["components"]["schemas"])
    assert "HTTPValidationError" not in text
    assert '"422"' not in text


def test_a_key_is_needed_for_all_but_health(document: dict[str, Any]) -> None:
    assert document["components"]["securitySchemes"]["BearerAuth"]["scheme"] == "bearer"
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["security"] == ([] if path.startswith("/health") else [{"BearerAuth": []}, {}])


@pytest.mark.parametrize("path", AUDIO)
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"include[]": "logprobs"},
        {"response_format": "verbose_json"},
        {"response_format": "verbose_json", "timestamp_granularities[]": "word"},
        {"response_format": "text"},
        {"response_format": "vtt"},
        {"response_format": "yaml"},
        {"model": "gigantic"},
    ],
    ids=str,
)
def test_replies_are_as_described(server: ServerProcess, document: dict[str, Any], path: str, fields: dict[str, str]) -> None:
    response = server.client.post(path, files={"file": ("a.wav", clip())}, data={"model": "base"} | fields)
    check(document, path, response)


def test_a_stream_is_as_described(server: ServerProcess, document: dict[str, Any]) -> None:
    response = server.transcribe(**{"stream": "true", "include[]": "logprobs"})
    described = document["paths"][AUDIO[0]]["post"]["responses"]["200"]["content"]["text/event-stream"]
    assert json.dumps(described).count("#/components/schemas/") == 3, "deltas, the end, and errors"
    for block in response.text.split("\n\n")[:-1]:
        event = json.loads(block.removeprefix("data: "))
        name = {"transcript.text.delta": "TextDelta", "transcript.text.done": "TextDone"}[event["type"]]
        schema = document["components"]["schemas"][name]
        Draft202012Validator(schema | {"components": document["components"]}).validate(event)


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/v1/models", "/v1/models"),
        ("/v1/models/base", "/v1/models/{model}"),
        ("/v1/models/whisper-1", "/v1/models/{model}"),
        ("/v1/models/nobody", "/v1/models/{model}"),
        ("/health", "/health"),
        ("/health/ready", "/health/ready"),
        ("/metrics", "/metrics"),
    ],
)
def test_what_is_read_is_as_described(server: ServerProcess, document: dict[str, Any], path: str, template: str) -> None:
    check(document, template, server.client.get(path))


def test_the_fields_of_the_contract(document: dict[str, Any]) -> None:
    def form(path: str) -> dict[str, Any]:
        content = document["paths"][path]["post"]["requestBody"]["content"]
        return dict(content["multipart/form-data"]["schema"])

    common = {"file", "model", "prompt", "response_format", "temperature", "language"}
    assert set(form(AUDIO[1])["properties"]) == common
    more = {"languages[]", "keywords[]", "timestamp_granularities[]", "include[]", "stream", "chunking_strategy"}
    assert set(form(AUDIO[0])["properties"]) == common | more
    assert form(AUDIO[0])["required"] == ["file", "model"]

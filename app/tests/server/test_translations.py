"""`POST /v1/audio/translations`: English, whatever was spoken."""

import json
from collections.abc import Iterator
from pathlib import Path

import media
import openai
import pytest
from polling import until
from serving import ServerProcess, server_process

from hailo_whisper.engines.warm_up import clip

PATH = "/v1/audio/translations"


def translate(server: ServerProcess, recording: bytes | None = None, /, **fields: str) -> object:
    files = {"file": ("clip.wav", clip() if recording is None else recording)}
    response = server.client.post(PATH, files=files, data={"model": "whisper-1"} | fields)
    assert response.status_code == 200, response.text
    return response.json() if response.headers["content-type"] == "application/json" else response.text


def test_json(server: ServerProcess) -> None:
    assert translate(server, prompt="say Guten Tag.") == {
        "text": "In English: Guten Tag.",
        "usage": {"type": "duration", "seconds": 6},
    }


def test_verbose_json_is_english(server: ServerProcess) -> None:
    body = translate(server, prompt="say Guten Tag.", response_format="verbose_json", language="de")
    assert isinstance(body, dict)
    assert (body["task"], body["language"], body["text"]) == ("translate", "english", "In English: Guten Tag.")
    assert len(body["segments"]) == 1
    assert "words" not in body


@pytest.mark.parametrize(
    ("response_format", "begins"), [("text", "In English: x\n"), ("srt", "1\n00:"), ("vtt", "WEBVTT\n\n00:")]
)
def test_plain_formats(server: ServerProcess, response_format: str, begins: str) -> None:
    text = translate(server, prompt="say x", response_format=response_format)
    assert isinstance(text, str)
    assert text.startswith(begins)


@pytest.mark.parametrize(("given", "asked"), [({}, None), ({"language": "Arabic"}, "ar")])
def test_the_language_is_detected_unless_it_is_said(server: ServerProcess, given: dict[str, str], asked: str | None) -> None:
    body = translate(server, None, prompt="asked", temperature="0.25", **given)
    assert isinstance(body, dict)
    options = json.loads(body["text"].removeprefix("In English: "))
    assert options == {
        "beam": 5,
        "language": asked,
        "temperature": 0.25,
        "task": "translate",
        "hotwords": None,
        "words": False,
        "logprobs": False,
    }


def test_silence(server: ServerProcess) -> None:
    body = translate(server, media.silence(1), response_format="verbose_json")
    assert isinstance(body, dict)
    assert (body["text"], body["segments"], body["language"]) == ("", [], "english")


def test_by_the_official_sdk(server: ServerProcess) -> None:
    client = openai.OpenAI(base_url=f"{server.client.base_url}/v1", api_key="none", max_retries=0)
    translation = client.audio.translations.create(model="whisper-1", file=("a.wav", clip()), prompt="say Hallo")
    assert translation.text == "In English: Hallo"
    verbose = client.audio.translations.create(model="whisper-1", file=("a.wav", clip()), response_format="verbose_json")
    assert verbose.language == "english"


@pytest.mark.parametrize("response_format", ["diarized_json", "yaml"])
def test_a_format_that_there_is_not(server: ServerProcess, response_format: str) -> None:
    files = {"file": ("clip.wav", clip())}
    response = server.client.post(PATH, files=files, data={"model": "whisper-1", "response_format": response_format})
    assert (response.status_code, response.json()["error"]["param"]) == (400, "response_format")


@pytest.fixture
def english_only(tmp_path: Path, model_folder: Path) -> Iterator[ServerProcess]:
    (model_folder / "script").write_text("without-translates without-words without-logprobs")
    with server_process(tmp_path, model_folder) as server:
        until(server.ready)
        yield server


def test_an_engine_that_cannot_says_so(english_only: ServerProcess) -> None:
    response = english_only.client.post(PATH, files={"file": ("a.wav", clip())}, data={"model": "whisper-1"})
    assert response.status_code == 400
    assert response.json()["error"] == {
        "message": "The model base cannot translate. Configure a multilingual one (model.name).",
        "type": "invalid_request_error",
        "param": "model",
        "code": "unsupported_value",
    }
    for more, param in (
        ({"timestamp_granularities[]": "word", "response_format": "verbose_json"}, "timestamp_granularities[]"),
        ({"include[]": "logprobs"}, "include[]"),
        ({"include[]": "logprobs", "stream": "true"}, "include[]"),
    ):
        refused = english_only.transcribe(**more)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)
    assert english_only.transcribe().status_code == 200

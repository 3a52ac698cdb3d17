"""What goes well."""

import media
import pytest
from serving import ServerProcess


@pytest.mark.rule("json", "usage", "response_format")
def test_json(server: ServerProcess, clip_words: str) -> None:
    response = server.transcribe()
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {"text": clip_words, "usage": {"type": "duration", "seconds": 6}}


def test_verbose_json(server: ServerProcess, clip_words: str) -> None:
    body = server.transcribe(response_format="verbose_json", temperature="0.4").json()
    assert (body["language"], body["duration"], body["text"]) == ("english", 5.3, clip_words)
    assert [segment["temperature"] for segment in body["segments"]] == [0.4]


@pytest.mark.parametrize(
    ("response_format", "text"),
    [
        ("text", "مرحبا <b>\n"),
        ("srt", "1\n00:00:00,000 --> 00:00:05,300\nمرحبا <b>\n\n"),
        ("vtt", "WEBVTT\n\n00:00:00.000 --> 00:00:05.300\nمرحبا &lt;b&gt;\n\n"),
    ],
)
@pytest.mark.rule("text", "srt", "vtt")
def test_plain_formats(server: ServerProcess, response_format: str, text: str) -> None:
    response = server.transcribe(response_format=response_format, prompt="say مرحبا <b>")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.text == text


def test_the_settings_and_the_fields_reach_the_engine(server: ServerProcess) -> None:
    assert server.transcribe(prompt="options").json()["text"] == "5 0.0"
    assert server.transcribe(prompt="options", temperature="0.5").json()["text"] == "5 0.5"


@pytest.mark.parametrize(("language", "name"), [("", "english"), ("de", "german"), ("AR", "arabic")])
@pytest.mark.rule("language", "language.absent")
def test_the_language(server: ServerProcess, language: str, name: str) -> None:
    assert server.transcribe(response_format="verbose_json", language=language).json()["language"] == name


@pytest.mark.parametrize("name", ["base", "whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe"])
@pytest.mark.rule("model")
def test_names_of_the_model(server: ServerProcess, name: str) -> None:
    assert server.transcribe(model=name).status_code == 200


@pytest.mark.parametrize(
    "harmless",
    [
        {"stream": "false"},
        {"chunking_strategy": "auto"},
        {"timestamp_granularities[]": "segment", "response_format": "verbose_json"},
        {"user": "ada"},
    ],
)
@pytest.mark.rule("unknown_fields")
def test_fields_that_ask_for_nothing_else(server: ServerProcess, harmless: dict[str, str]) -> None:
    assert server.transcribe(**harmless).status_code == 200


@pytest.mark.parametrize("kind", media.ENCODINGS)
@pytest.mark.parametrize("name", ["recording", "photo.jpg"])
@pytest.mark.rule("file.formats")
def test_media_is_known_by_its_content_whatever_its_name(server: ServerProcess, kind: str, name: str) -> None:
    body = server.transcribe(media.encoded(kind), name, response_format="verbose_json").json()
    assert body["duration"] == pytest.approx(5.3, abs=0.15)


@pytest.mark.rule("file.cut")
def test_a_truncated_mp3_is_transcribed_as_far_as_it_goes(server: ServerProcess) -> None:
    whole = media.encoded("mp3")
    body = server.transcribe(whole[: len(whole) // 2], "clip.mp3", response_format="verbose_json").json()
    assert 2.0 < body["duration"] < 3.0


def test_the_model_is_listed(server: ServerProcess) -> None:
    (model,) = server.client.get("/v1/models").json()["data"]
    assert (model["id"], model["object"], model["owned_by"]) == ("base", "model", "hailo-whisper")
    assert model["created"] > 1_600_000_000


@pytest.mark.rule("errors.request_id")
def test_every_reply_has_an_id_of_its_own(server: ServerProcess) -> None:
    ids = [server.client.get(path).headers["x-request-id"] for path in ("/health", "/health", "/v1/models", "/nowhere")]
    assert len(set(ids)) == 4
    assert all(identity.startswith("req_") for identity in ids)


def test_the_addresses_are_described(server: ServerProcess) -> None:
    described = server.client.get("/openapi.json").json()
    form = described["paths"]["/v1/audio/transcriptions"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["required"] == ["file", "model"]
    assert form["properties"]["response_format"]["enum"] == ["json", "text", "srt", "verbose_json", "vtt"]


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_there_are_no_pages_that_load_scripts_from_elsewhere(server: ServerProcess, path: str) -> None:
    assert server.client.get(path).status_code == 404

"""Every way of the official SDK to ask for a transcription, with a real model behind it."""

import io
from pathlib import Path
from typing import Any

import openai
import pytest
from heard import assert_heard
from openai.types.audio import (
    Transcription,
    TranscriptionTextDeltaEvent,
    TranscriptionTextDoneEvent,
    TranscriptionVerbose,
)


@pytest.mark.rule("file", "model")
@pytest.mark.parametrize("way", ["bytes", "tuple", "triple", "path", "open file", "stream"])
def test_every_way_of_giving_the_file(client: openai.OpenAI, clip: bytes, clip_path: Path, clip_text: str, way: str) -> None:
    ways: dict[str, Any] = {
        "bytes": clip,
        "tuple": ("speech.wav", clip),
        "triple": ("speech", io.BytesIO(clip), "application/octet-stream"),
        "path": clip_path,
        "open file": clip_path.open("rb"),
        "stream": io.BytesIO(clip),
    }
    with ways["open file"]:
        assert_heard(client.audio.transcriptions.create(model="whisper-1", file=ways[way]).text, clip_text)


@pytest.mark.rule("json")
def test_the_raw_response(client: openai.OpenAI, clip: bytes, clip_text: str) -> None:
    raw = client.audio.transcriptions.with_raw_response.create(model="whisper-1", file=clip)
    assert raw.headers["content-type"] == "application/json"
    assert raw.headers["x-request-id"] == raw.request_id
    parsed = raw.parse()
    assert isinstance(parsed, Transcription)
    assert_heard(parsed.text, clip_text)


@pytest.mark.rule("text", "srt", "vtt")
@pytest.mark.parametrize("response_format", ["text", "srt", "vtt"])
def test_the_streaming_response_of_plain_formats(client: openai.OpenAI, clip: bytes, response_format: Any) -> None:
    ask = client.audio.transcriptions.with_streaming_response.create
    with ask(model="whisper-1", file=clip, response_format=response_format) as response:
        assert response.headers["content-type"] == "text/plain; charset=utf-8"
        whole = "".join(response.iter_text())
    assert whole == client.audio.transcriptions.create(model="whisper-1", file=clip, response_format=response_format)
    assert whole.startswith({"text": "", "srt": "1\n00:00:", "vtt": "WEBVTT\n\n"}[response_format])


async def test_the_asynchronous_sdk(url: str, api_key: str, clip: bytes, clip_text: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=api_key, max_retries=0) as client:
        assert_heard((await client.audio.transcriptions.create(model="whisper-1", file=clip)).text, clip_text)
        raw = await client.audio.transcriptions.with_raw_response.create(model="whisper-1", file=clip)
        assert raw.request_id
        stream = await client.audio.transcriptions.create(model="whisper-1", file=clip, stream=True)
        events = [event async for event in stream]
        assert events[-1].type == "transcript.text.done"
        assert_heard(events[-1].text, clip_text)
        assert [model.id async for model in client.models.list()]


@pytest.mark.rule("stream")
@pytest.mark.parametrize("response_format", ["json", "text"])
def test_a_stream(client: openai.OpenAI, clip: bytes, clip_text: str, response_format: Any) -> None:
    stream = client.audio.transcriptions.create(model="whisper-1", file=clip, stream=True, response_format=response_format)
    assert stream.response.headers["content-type"] == "text/event-stream; charset=utf-8"
    *deltas, done = list(stream)
    assert isinstance(done, TranscriptionTextDoneEvent)
    assert deltas
    assert all(isinstance(event, TranscriptionTextDeltaEvent) for event in deltas)
    assert "".join(event.delta for event in deltas if isinstance(event, TranscriptionTextDeltaEvent)) == done.text
    assert_heard(done.text, clip_text)
    assert getattr(done.usage, "seconds", None) == 6, "of the type duration, which the SDK's event does not know yet"


@pytest.mark.rule("stream", "include[]")
def test_a_stream_with_log_probabilities(client: openai.OpenAI, clip: bytes) -> None:
    stream = client.audio.transcriptions.create(model="whisper-1", file=clip, stream=True, include=["logprobs"])
    done = list(stream)[-1]
    assert isinstance(done, TranscriptionTextDoneEvent)
    assert done.logprobs
    assert all((each.logprob or 0) <= 0 for each in done.logprobs)


@pytest.mark.rule("include[]")
def test_log_probabilities_spell_the_text(client: openai.OpenAI, clip: bytes) -> None:
    found = client.audio.transcriptions.create(model="gpt-4o-transcribe", file=clip, include=["logprobs"], response_format="json")
    assert found.logprobs
    assert b"".join(bytes(int(each) for each in one.bytes or []) for one in found.logprobs).decode().strip() == found.text
    assert len({one.logprob for one in found.logprobs}) > 3, "they were computed"
    assert all(one.logprob is not None and one.logprob <= 0 for one in found.logprobs)


@pytest.mark.rule("timestamp_granularities[]", "verbose_json")
@pytest.mark.parametrize("granularities", [["word"], ["segment"], ["word", "segment"]], ids="-".join)
def test_granularities(client: openai.OpenAI, clip: bytes, clip_text: str, granularities: Any) -> None:
    found = client.audio.transcriptions.create(
        model="whisper-1", file=clip, response_format="verbose_json", timestamp_granularities=granularities
    )
    assert isinstance(found, TranscriptionVerbose)
    assert (found.segments is not None) == ("segment" in granularities)
    assert (found.words is not None) == ("word" in granularities)
    if found.words:
        assert_heard(" ".join(word.word for word in found.words), clip_text)
        at = 0.0
        for word in found.words:
            assert word.word == word.word.strip() != ""
            assert at <= word.start <= word.end <= found.duration
            at = word.start


@pytest.mark.rule("chunking_strategy")
@pytest.mark.parametrize(
    "strategy",
    [
        "auto",
        {"type": "server_vad"},
        {"type": "server_vad", "threshold": 0.4, "prefix_padding_ms": 200, "silence_duration_ms": 500},
    ],
    ids=["auto", "server_vad", "with numbers"],
)
def test_chunking_strategies(client: openai.OpenAI, clip: bytes, clip_text: str, strategy: Any) -> None:
    found = client.audio.transcriptions.create(model="gpt-4o-transcribe", file=clip, chunking_strategy=strategy)
    assert_heard(found.text, clip_text)


@pytest.mark.rule("prompt", "keywords[]", "languages[]", "language", "temperature")
def test_every_other_field(client: openai.OpenAI, clip: bytes, clip_text: str) -> None:
    found = client.audio.transcriptions.create(
        model="gpt-transcribe",
        file=clip,
        keywords=["rather", "selfish"],
        languages=["en"],
        prompt="A sentence.",
        # Above 0 the decoder draws lots: so little above that it draws the likeliest. Without beams it hears the last word wrong.
        temperature=0.02,
    )
    assert_heard(found.text, clip_text, wrong=0.3)
    named = client.audio.transcriptions.create(model="whisper-1", file=clip, language="English", response_format="verbose_json")
    assert named.language == "english"
    with pytest.raises(openai.BadRequestError) as caught:
        client.audio.transcriptions.create(model="whisper-1", file=clip, language="xx")
    assert caught.value.param == "language"


@pytest.mark.rule("models")
def test_models(client: openai.OpenAI) -> None:
    (model,) = client.models.list().data
    assert client.models.retrieve(model.id) == model
    assert (model.object, bool(model.owned_by), model.created > 1_600_000_000) == ("model", True, True)
    alias = client.models.retrieve("whisper-1")
    assert (alias.id, getattr(alias, "alias_of", None)) == ("whisper-1", model.id)
    # A field that the SDK passes on without knowing it.
    assert (model.model_extra or {})["capabilities"]["languages"]

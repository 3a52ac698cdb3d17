"""The official Python SDK, as it meets errors, limits and slowness: what it raises, and what becomes of the work."""

import asyncio
import io
import json
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import httpx2
import openai
import pytest
from lenient_server import lenient_server
from polling import eventually, until
from serving import ServerProcess


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One that asks for a key, and lets it come five times a minute."""
    folder = tmp_path_factory.mktemp("guarded")
    keys = folder / "keys"
    keys.write_text("ada:sk-of-ada-0123456789\nbob:sk-of-bob-0123456789\n")
    keys.chmod(0o600)
    with lenient_server(folder, {"access": {"keys": str(keys), "requests_per_minute": 5}}) as started:
        yield started


@pytest.fixture
def model_folder(server: ServerProcess) -> Path:
    return server.log.parent / "model"


def sdk(server: ServerProcess, key: str = "none") -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.client.base_url}/v1", api_key=key, max_retries=0)


@pytest.mark.rule("errors.key", "errors.shape")
def test_a_wrong_key_is_an_authentication_error(guarded: ServerProcess) -> None:
    with pytest.raises(openai.AuthenticationError, match="Incorrect API key provided") as caught:
        sdk(guarded, "sk-wrong-0123456789").models.list()
    assert isinstance(caught.value.body, dict)
    assert set(caught.value.body) == {"message", "type", "param", "code"}
    assert (caught.value.code, caught.value.type, caught.value.param) == ("invalid_api_key", "invalid_request_error", None)
    assert caught.value.request_id


@pytest.mark.rule("errors.overload")
def test_a_key_that_comes_too_often_is_a_rate_limit_error_with_a_time_to_wait(guarded: ServerProcess) -> None:
    ada, bob = sdk(guarded, "sk-of-ada-0123456789"), sdk(guarded, "sk-of-bob-0123456789")
    for _ in range(5):
        ada.models.list()
    with pytest.raises(openai.RateLimitError) as caught:
        ada.audio.transcriptions.create(model="whisper-1", file=b"Example data")
    assert int(caught.value.response.headers["retry-after"]) >= 1
    assert caught.value.type == "requests"
    assert caught.value.code == "rate_limit_exceeded"
    assert bob.models.list().data, "each key has a limit of its own"


@pytest.mark.rule("errors.shape", "errors.request_id")
def test_what_a_request_has_wrong_is_a_bad_request_error(server: ServerProcess) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        sdk(server).audio.transcriptions.create(model="whisper-1", file=b"Example data", temperature=2)
    assert isinstance(caught.value.body, dict)
    assert set(caught.value.body) == {"message", "type", "param", "code"}
    assert caught.value.param == "temperature"
    assert caught.value.request_id == caught.value.response.headers["x-request-id"]


@pytest.mark.rule("model.unknown")
def test_a_model_that_there_is_not_is_a_not_found_error(server: ServerProcess) -> None:
    for ask in (
        lambda: sdk(server).models.retrieve("gpt-9"),
        lambda: sdk(server).models.retrieve("openai/whisper-base"),
        lambda: sdk(server).audio.transcriptions.create(model="gpt-9", file=b"Example data"),
    ):
        with pytest.raises(openai.NotFoundError) as caught:
            ask()
        assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


@pytest.mark.rule("errors.address")
def test_what_is_no_address_is_a_not_found_error(server: ServerProcess) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        sdk(server).audio.speech.create(model="tts-1", voice="ash", input="Hello")
    assert caught.value.code == "unknown_url"


@pytest.mark.rule("errors.media_type")
def test_other_media_is_an_error_of_its_own(server: ServerProcess) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        sdk(server).post("/audio/transcriptions", cast_to=object, body={"model": "whisper-1"})
    assert caught.value.status_code == 415


def test_a_request_that_fails_in_the_engine_is_an_internal_server_error(server: ServerProcess) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        sdk(server).audio.transcriptions.create(model="whisper-1", file=b"Example data", prompt="raise")
    assert (caught.value.status_code, caught.value.code, caught.value.type) == (500, "engine_failed", "server_error")


@pytest.mark.rule("stream.error")
def test_an_error_in_the_middle_of_a_stream_is_raised(server: ServerProcess, clip_wav: bytes) -> None:
    stream = sdk(server).audio.transcriptions.create(
        model="whisper-1", file=("a.wav", short_and_long(clip_wav)), prompt="raise-over 10", stream=True
    )
    assert next(stream).type == "transcript.text.delta"
    with pytest.raises(openai.APIError) as caught:
        next(stream)
    assert caught.value.code == "engine_failed"


def short_and_long(clip: bytes) -> bytes:
    """A few seconds of speech, a long silence, and speech that lasts three times as long."""
    with wave.open(io.BytesIO(clip)) as file:
        pcm, parameters = file.readframes(file.getnframes()), file.getparams()
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setparams(parameters)
        file.writeframes(pcm + bytes(40 * 2 * parameters.framerate) + pcm * 3)
    return stream.getvalue()


def test_the_client_s_patience_ends_the_work(server: ServerProcess, model_folder: Path) -> None:
    (model_folder / "waiting").unlink(missing_ok=True)
    impatient = sdk(server).with_options(timeout=httpx2.Timeout(1.0))
    with pytest.raises(openai.APITimeoutError):
        impatient.audio.transcriptions.create(model="whisper-1", file=b"Example data", prompt="wait patience")
    (model_folder / "patience").touch()
    began = time.monotonic()
    assert sdk(server).audio.transcriptions.create(model="whisper-1", file=b"Example data").text
    assert time.monotonic() - began < 20


async def test_a_request_that_is_cancelled_gives_its_place_back(server: ServerProcess, model_folder: Path) -> None:
    (model_folder / "waiting").unlink(missing_ok=True)
    async with openai.AsyncOpenAI(base_url=f"{server.client.base_url}/v1", api_key="none", max_retries=0) as client:
        work = asyncio.ensure_future(
            client.audio.transcriptions.create(model="whisper-1", file=b"Example data", prompt="wait cancelled")
        )
        await eventually((model_folder / "waiting").exists)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        (model_folder / "cancelled").touch()
        assert (await client.audio.transcriptions.create(model="whisper-1", file=b"Example data")).text
    until(lambda: "client_gone" in server.log.read_text() or " status=499 " in server.log.read_text())


@pytest.mark.rule("stream.done")
def test_a_stream_ends_after_its_last_event(server: ServerProcess) -> None:
    events = server.transcribe(b"Example data", stream="true").text.split("\n\n")
    assert json.loads(events[-2].removeprefix("data: "))["type"] == "transcript.text.done"
    assert events[-1] == ""
    assert "[DONE]" not in events


@pytest.mark.rule("verbose_json.null", "models")
def test_what_is_null_is_declared(server: ServerProcess) -> None:
    (segment,) = server.transcribe(b"Example data", response_format="verbose_json").json()["segments"]
    (model,) = server.client.get("/v1/models").json()["data"]
    unavailable = [name for name, value in segment.items() if value is None]
    assert unavailable == model["capabilities"]["unavailable"] == ["no_speech_prob"]


@pytest.mark.rule("languages[]", "languages[].several", "language.absent")
@pytest.mark.parametrize(
    ("languages", "heard"), [([], "english"), (["ar"], "arabic"), (["ar", "en"], "german")], ids=["none", "one", "several"]
)
def test_languages(server: ServerProcess, languages: list[str], heard: str) -> None:
    # The engine detects German wherever it is not told; the configured language is English.
    asked = {"languages": languages} if languages else {}
    found = sdk(server).audio.transcriptions.create(
        model="whisper-1", file=b"Example data", response_format="verbose_json", extra_body=asked
    )
    assert found.language == heard

"""What application developers do, with what they do it with: the official openai package and curl."""

import io
import json
import re
import subprocess
import wave
from pathlib import Path

import av
import numpy as np
import openai
import pytest
from heard import assert_heard


def wav(samples: "np.ndarray[tuple[int], np.dtype[np.int16]]") -> bytes:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(samples.tobytes())
    return stream.getvalue()


@pytest.mark.rule("json", "usage")
def test_json_by_the_sdk(client: openai.OpenAI, clip_path: Path, clip_text: str) -> None:
    with clip_path.open("rb") as file:
        transcription = client.audio.transcriptions.create(model="whisper-1", file=file)
    assert_heard(transcription.text, clip_text)
    assert transcription.usage is not None
    assert transcription.usage.type == "duration"
    assert transcription.usage.seconds == 6


@pytest.mark.rule("verbose_json")
def test_verbose_json_by_the_sdk(client: openai.OpenAI, clip_path: Path, clip_text: str) -> None:
    with clip_path.open("rb") as file:
        transcription = client.audio.transcriptions.create(model="whisper-1", file=file, response_format="verbose_json")
    assert transcription.language == "english"
    assert transcription.duration == pytest.approx(5.3)
    assert transcription.segments
    assert_heard("".join(segment.text for segment in transcription.segments), clip_text)
    for segment in transcription.segments:
        assert 0 <= segment.start < segment.end <= 5.3
        assert segment.text.startswith(" ")
        assert segment.tokens
        assert segment.avg_logprob < 0
        assert 0 < segment.compression_ratio < 2.4
        assert 0 <= segment.no_speech_prob <= 1


@pytest.mark.parametrize("response_format", ["text", "srt", "vtt"])
@pytest.mark.rule("text", "srt", "vtt")
def test_plain_formats_by_curl(url: str, api_key: str, clip_path: Path, clip_text: str, response_format: str) -> None:
    command = ["curl", "-sS", "--fail-with-body", "-w", "%{stderr}%{content_type}", "-H", f"Authorization: Bearer {api_key}"]
    form = ["-F", f"file=@{clip_path}", "-F", "model=whisper-1", "-F", f"response_format={response_format}"]
    done = subprocess.run([*command, *form, f"{url}/v1/audio/transcriptions"], capture_output=True, text=True, check=True)
    assert done.stderr == "text/plain; charset=utf-8"
    if response_format == "text":
        assert_heard(done.stdout, clip_text)
    elif response_format == "srt":
        assert re.match(r"1\n00:00:0\d,\d{3} --> 00:00:0\d,\d{3}\n", done.stdout)
        assert_heard(re.sub(r"(?m)^(\d+|.*-->.*)$", "", done.stdout), clip_text)
    else:
        assert re.match(r"WEBVTT\n\n00:00:0\d\.\d{3} --> 00:00:0\d\.\d{3}\n", done.stdout)
        assert_heard(re.sub(r"(?m)^(WEBVTT|.*-->.*)$", "", done.stdout), clip_text)


@pytest.mark.rule("file.formats")
def test_another_container_under_a_name_that_says_nothing(client: openai.OpenAI, clip: bytes, clip_text: str) -> None:
    stream = io.BytesIO()
    with av.open(io.BytesIO(clip), "r") as source, av.open(stream, "w", format="webm") as target:
        track = target.add_stream("libopus", rate=48000)
        resampler = av.AudioResampler(format="s16", layout="mono", rate=48000)
        for frame in source.decode(audio=0):
            for out in resampler.resample(frame):
                target.mux(track.encode(out))
        target.mux(track.encode(None))
    assert_heard(client.audio.transcriptions.create(model="whisper-1", file=("upload", stream.getvalue())).text, clip_text)


@pytest.mark.rule("silence")
def test_silence_has_no_words(client: openai.OpenAI) -> None:
    silence = wav(np.zeros(16000 * 5, np.int16))
    transcription = client.audio.transcriptions.create(model="whisper-1", file=silence, response_format="verbose_json")
    assert transcription.text == ""
    assert transcription.segments == []
    assert transcription.duration == 5.0


@pytest.mark.rule("model.unknown", "models")
def test_models(client: openai.OpenAI) -> None:
    models = client.models.list().data
    assert len(models) == 1
    assert models[0].created > 1_600_000_000
    with pytest.raises(openai.NotFoundError) as caught:
        client.audio.transcriptions.create(model="no-such-model", file=b"RIFF")
    assert caught.value.code == "model_not_found"
    assert models[0].id in str(caught.value)


@pytest.mark.parametrize(
    ("media", "sentence", "code"),
    [
        (b"", "empty", None),
        (b"This is a text file called .wav.\n" * 40, "Invalid file format", None),
        (wav(np.zeros(800, np.int16)), "too short", "audio_too_short"),
    ],
)
@pytest.mark.rule("file.broken", "file.short", "errors.request_id")
def test_bad_media_is_told_of(client: openai.OpenAI, media: bytes, sentence: str, code: str | None) -> None:
    with pytest.raises(openai.BadRequestError, match=sentence) as caught:
        client.audio.transcriptions.create(model="whisper-1", file=("clip.wav", media))
    assert caught.value.param == "file"
    assert caught.value.code == code
    assert caught.value.request_id


@pytest.mark.rule("file.size")
def test_too_large(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIStatusError, match="Maximum content size limit") as caught:
        client.audio.transcriptions.create(model="whisper-1", file=b"\0" * (25 * 1024 * 1024 + 1))
    assert caught.value.status_code == 413


@pytest.mark.rule("response_format")
def test_unknown_format(client: openai.OpenAI, clip: bytes) -> None:
    with pytest.raises(openai.BadRequestError, match="verbose_json") as caught:
        client.audio.transcriptions.create(model="whisper-1", file=clip, response_format="docx")  # type: ignore[call-overload]
    assert caught.value.param == "response_format"


def test_health_by_curl(url: str) -> None:
    for path, status in (("/health", "ok"), ("/health/ready", "ready")):
        done = subprocess.run(["curl", "-sS", "--fail", f"{url}{path}"], capture_output=True, text=True, check=True)
        assert json.loads(done.stdout)["status"] == status

"""What machines sound like is no speech: hum, clicks, touch tones, the noise of wind and traffic. Every format says so."""

import io
import re
import wave
from collections.abc import Callable
from typing import Any

import jiwer
import numpy as np
import openai
import pytest
from media import wav
from numpy.typing import NDArray

RATE = 16000
Sound = NDArray[np.float64]
EMPTY = {"json": "", "text": "\n", "srt": "", "vtt": "WEBVTT\n\n"}
"""What each format is without words."""


def coloured(seconds: int, slope: float) -> Sound:
    """Noise whose power falls with the frequency to the power of `slope`."""
    spectrum = np.fft.rfft(np.random.default_rng(3).normal(size=seconds * RATE))
    spectrum[1:] /= np.arange(1, len(spectrum)) ** (slope / 2)
    sound = np.fft.irfft(spectrum, seconds * RATE)
    return np.asarray(sound / np.abs(sound).max() * 0.5)


def pink(seconds: int) -> Sound:
    return coloured(seconds, 1)


def brown(seconds: int) -> Sound:
    return coloured(seconds, 2)


def hum(seconds: int) -> Sound:
    time = np.arange(seconds * RATE) / RATE
    return np.asarray(0.3 * np.sin(2 * np.pi * 50 * time) + 0.1 * np.sin(2 * np.pi * 150 * time))


def clicks(seconds: int) -> Sound:
    sound = np.zeros(seconds * RATE)
    sound[:: RATE // 3] = 0.9
    return sound


def touch_tones(seconds: int) -> Sound:
    """Two keys a second."""
    generator = np.random.default_rng(4)
    time = np.arange(RATE // 4) / RATE
    sound = []
    for _ in range(seconds * 2):
        low, high = generator.choice([697, 770, 852, 941]), generator.choice([1209, 1336, 1477])
        sound += [0.3 * (np.sin(2 * np.pi * low * time) + np.sin(2 * np.pi * high * time)), np.zeros(RATE // 4)]
    return np.concatenate(sound)


def recording(*sounds: Sound) -> bytes:
    return wav((np.clip(np.concatenate(sounds), -1, 1) * 32767).astype(np.int16))


@pytest.mark.parametrize("seconds", [1, 30])
@pytest.mark.parametrize("kind", [pink, brown, hum, clicks, touch_tones], ids=lambda kind: kind.__name__)
def test_machines_do_not_speak(client: openai.OpenAI, kind: Callable[[int], Sound], seconds: int) -> None:
    found = client.audio.transcriptions.create(model="whisper-1", file=recording(kind(seconds)), response_format="verbose_json")
    assert (found.text, found.segments, found.duration) == ("", [], seconds)


@pytest.mark.parametrize("response_format", EMPTY)
def test_every_format_says_so(client: openai.OpenAI, response_format: Any) -> None:
    found: Any = client.audio.transcriptions.create(model="whisper-1", file=recording(pink(30)), response_format=response_format)
    assert (found if isinstance(found, str) else found.text) == EMPTY[response_format]


def test_nothing_is_added_to_what_was_said_between_them(client: openai.OpenAI, clip: bytes, clip_text: str) -> None:
    """Five minutes, of which 5 s are speech."""
    with wave.open(io.BytesIO(clip)) as file:
        speech = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
    found = client.audio.transcriptions.create(
        model="whisper-1",
        file=recording(0.1 * pink(75), touch_tones(75), speech, hum(75), clicks(75)),
        response_format="verbose_json",
    )
    said, expected = (" ".join(re.findall(r"[\w']+", text.lower())) for text in (found.text, clip_text))
    assert jiwer.wer(expected, said) <= 0.1, found.text
    assert found.segments
    assert 149 < found.segments[0].start < found.segments[-1].end < 156.5


def test_the_model_itself_hears_that_nobody_speaks(client: openai.OpenAI) -> None:
    """With the threshold at 0 all sound counts as speech, and the model is asked."""
    found = client.audio.transcriptions.create(
        model="whisper-1",
        file=recording(np.zeros(20 * RATE)),
        chunking_strategy={"type": "server_vad", "threshold": 0},
    )
    assert found.text == ""

"""Where nobody speaks there are no words: not in silence, not in noise, not in music, however long, in no format."""

from typing import Any

import numpy as np
import openai
import pytest
from media import wav
from numpy.typing import NDArray

RATE = 16000
EMPTY = {"json": "", "text": "\n", "srt": "", "vtt": "WEBVTT\n\n"}
"""What each format is without words."""


def silence(seconds: int) -> NDArray[np.float64]:
    return np.zeros(seconds * RATE)


def noise(seconds: int) -> NDArray[np.float64]:
    """As a radio between two stations."""
    return np.random.default_rng(1).normal(0, 0.1, seconds * RATE)


def music(seconds: int) -> NDArray[np.float64]:
    """Chords of plucked strings, two a second, over a beat."""
    generator = np.random.default_rng(2)
    beat = np.arange(RATE // 2) / RATE
    sound = []
    for number in range(seconds * 2):
        root = (220.0, 174.6, 261.6, 196.0)[number // 4 % 4]
        chord = sum(
            np.sin(2 * np.pi * root * interval * harmonic * beat) / harmonic**1.5
            for interval in (1, 1.26, 1.498)
            for harmonic in range(1, 7)
        )
        sound.append(0.12 * chord * np.exp(-3 * beat) + generator.normal(0, 0.2, len(beat)) * np.exp(-60 * beat))
    return np.concatenate(sound)


@pytest.mark.rule("silence")
@pytest.mark.parametrize("seconds", [1, 30, 300])
@pytest.mark.parametrize("kind", [silence, noise, music], ids=lambda kind: kind.__name__)
def test_no_words_are_invented(client: openai.OpenAI, kind: Any, seconds: int) -> None:
    recording = wav((np.clip(kind(seconds), -1, 1) * 32767).astype(np.int16))
    detailed = client.audio.transcriptions.create(
        model="whisper-1", file=recording, response_format="verbose_json", timestamp_granularities=["word", "segment"]
    )
    assert (detailed.text, detailed.segments, detailed.words, detailed.duration) == ("", [], [], seconds)
    (done,) = client.audio.transcriptions.create(model="whisper-1", file=recording, stream=True)
    assert done.type == "transcript.text.done"
    assert done.text == ""


@pytest.mark.rule("silence")
@pytest.mark.parametrize("response_format", EMPTY)
def test_no_words_in_any_format(client: openai.OpenAI, response_format: Any) -> None:
    found: Any = client.audio.transcriptions.create(
        model="whisper-1", file=wav(np.zeros(RATE, np.int16)), response_format=response_format
    )
    assert (found if isinstance(found, str) else found.text) == EMPTY[response_format]

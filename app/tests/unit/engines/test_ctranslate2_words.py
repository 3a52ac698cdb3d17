"""The words and tokens of the CTranslate2 engine, and when they are said."""

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Literal

import pytest
from fake_whisper import BEGIN, FakeWhisper, result, sound

from hailo_whisper.engines.ctranslate2 import CTranslate2Engine
from hailo_whisper.engines.engine import Options
from hailo_whisper.speech.transcript import Token, Word

ENGLISH = Options(language="en", beam=3)
WORDS = Options(language="en", beam=1, words=True, logprobs=True)
pytestmark = pytest.mark.usefixtures("fakes")


def test_words_and_tokens_come_when_they_are_asked_for(engine: CTranslate2Engine, model: FakeWhisper) -> None:
    model.answer = lambda *_: result(" it is.")
    (plain,) = engine.transcribe([sound(2)], ENGLISH)
    assert (plain.segments[0].words, plain.segments[0].logprobs, model.aligned) == (None, None, [])
    (heard,) = engine.transcribe([sound(2)], WORDS)
    (segment,) = heard.segments
    assert [replace(word, start=round(word.start, 2), end=round(word.end, 2)) for word in segment.words or []] == [
        Word(0.2, 0.6, "it", 0.5),
        Word(0.8, 1.2, "is.", 0.5),
    ]
    assert (round(segment.start, 2), round(segment.end, 2)) == (0.2, 1.2), "the segment is as long as its words"
    assert segment.logprobs == [Token(letter, math.log(0.5), [ord(letter)]) for letter in " it is."]


def test_words_alone_and_tokens_alone(engine: CTranslate2Engine, model: FakeWhisper) -> None:
    (words,) = engine.transcribe([sound(2)], Options(language="en", beam=1, words=True))
    (tokens,) = engine.transcribe([sound(2)], Options(language="en", beam=1, logprobs=True))
    assert words.segments[0].words
    assert words.segments[0].logprobs is None
    assert tokens.segments[0].words is None
    assert tokens.segments[0].logprobs
    assert tokens.segments[0].end == 2.0, "its times are those of the decoder"


def test_words_are_looked_for_in_the_sound_and_not_in_the_margin(engine: CTranslate2Engine, model: FakeWhisper) -> None:
    engine.transcribe([sound(2), sound(2.5)], WORDS)
    assert [(asked["shape"], asked["frames"]) for asked in model.aligned] == [((1, 400, 4), 250), ((1, 400, 4), 200)]


def test_words_come_from_the_context_that_was_decoded(engine: CTranslate2Engine, model: FakeWhisper) -> None:
    model.answer = lambda _, asked: result("fine") if asked["shape"][1] == 1500 else result("bad", logprob=-2)
    engine.transcribe([sound(2)], WORDS)
    assert model.aligned[0]["shape"] == (1, 1500, 4)


def test_the_words_of_a_rest_follow_those_before_it(engine: CTranslate2Engine, model: FakeWhisper) -> None:
    answers = iter([result("one", until=4.0), result("two")])
    model.answer = lambda *_: next(answers)
    (heard,) = engine.transcribe([sound(10)], WORDS)
    assert [asked["frames"] for asked in model.aligned] == [400, 600], "the first are about the first 4 s"
    assert [(word.text, round(word.start, 2), round(word.end, 2)) for one in heard.segments for word in one.words or []] == [
        ("one", 0.0, 0.6),
        ("two", 4.0, 4.6),
    ]


def test_words_of_several_segments(engine: CTranslate2Engine, model: FakeWhisper) -> None:
    several = result("one", until=1.0)
    several.sequences_ids[0] += [BEGIN + 50, *map(ord, "two"), BEGIN + 100, BEGIN + 100, ord(" "), BEGIN + 120]
    model.answer = lambda *_: several
    (heard,) = engine.transcribe([sound(2.4)], WORDS)
    assert [[word.text for word in one.words or []] for one in heard.segments] == [["one"], ["two"]]
    assert [[token.text for token in one.logprobs or []] for one in heard.segments] == [[*"one"], [*"two"]]
    assert len(model.aligned) == 1


def test_nothing_said_has_no_words(engine: CTranslate2Engine, model: FakeWhisper) -> None:
    model.answer = lambda *_: result("")
    (heard,) = engine.transcribe([sound(2)], WORDS)
    assert (heard.segments, model.aligned) == ([], [])


@pytest.mark.parametrize(
    ("task", "text", "expected"), [("transcribe", "はい。", ["は", "い。"]), ("translate", " he is", ["he", "is"])]
)
def test_a_language_without_spaces_has_a_word_for_each_character(
    engine: CTranslate2Engine, model: FakeWhisper, task: Literal["transcribe", "translate"], text: str, expected: list[str]
) -> None:
    tokens = [BEGIN, *text.encode()]
    model.answer = lambda *_: SimpleNamespace(sequences_ids=[tokens], scores=[-0.1], no_speech_prob=0.0)
    (heard,) = engine.transcribe([sound(2)], Options(language="ja", beam=1, task=task, words=True))
    assert [word.text for word in heard.segments[0].words or []] == expected, "the translation is English"

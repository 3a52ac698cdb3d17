"""Whisper's tokens by their numbers, which are facts of https://github.com/openai/whisper."""

import pytest

from hailo_whisper.engines.hailo.vocabulary import Vocabulary
from hailo_whisper.models.official import ENGLISH, MULTILINGUAL, MULTILINGUAL_V3


@pytest.fixture(scope="module")
def many() -> Vocabulary:
    return Vocabulary(MULTILINGUAL)


@pytest.fixture(scope="module")
def english() -> Vocabulary:
    return Vocabulary(ENGLISH)


def test_the_multilingual_one(many: Vocabulary) -> None:
    assert (many.end, many.start, many.no_speech, many.timestamp_begin) == (50257, 50258, 50362, 50364)
    assert many.multilingual
    assert len(many.languages) == 99
    assert many.languages["en"] == 50259
    assert many.prompt("de", "transcribe") == [50258, 50261, 50359]
    assert many.prompt("de", "translate") == [50258, 50261, 50358]


def test_the_english_one(english: Vocabulary) -> None:
    assert (english.end, english.start, english.no_speech, english.timestamp_begin) == (50256, 50257, 50361, 50363)
    assert not english.multilingual
    assert [*english.languages] == ["en"]
    assert english.prompt("en", "transcribe") == [50257]


def test_large_v3_has_one_language_more() -> None:
    largest = Vocabulary(MULTILINGUAL_V3)
    assert len(largest.languages) == 100
    assert largest.languages["yue"] == 50358
    assert largest.timestamp_begin == 50365
    assert largest.no_speech == 50363


def test_another_number_is_no_whisper() -> None:
    with pytest.raises(KeyError):
        Vocabulary(32000)


def test_what_they_spell(many: Vocabulary, english: Vocabulary) -> None:
    # "Hello there." as the tokenizer of each has it, between two timestamps.
    assert many.text([50364, 2425, 456, 13, 50464, 50257]) == " Hello there."
    assert english.text([50363, 18435, 612, 13, 50463, 50256]) == " Hello there."
    assert many.spelling([50364, 2425]) == [b"", b" Hello"]


def test_characters_over_several_tokens(many: Vocabulary) -> None:
    # Both tokens of one Greek letter that has no token of its own stay UTF-8 together; one alone is not.
    halves = [token for token in range(256) if many.spelling([token])[0].decode() == "\ufffd"]
    assert halves
    assert many.text(halves[:1]) == "\ufffd"


def test_what_is_never_said(many: Vocabulary) -> None:
    never = {*many.never}
    assert {many.start, 50358, 50359, 50360, 50361, 50362, 50363} <= never
    assert set(many.languages.values()) <= never
    assert not {many.end, 11, 13, many.timestamp_begin} & never
    brackets = [token for token in range(200) if many.text([token]) in ("[", "(", "♪")]
    assert brackets
    assert {*brackets} <= never

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from hailo_whisper.formats import Details
from hailo_whisper.formats.structured import json_text, verbose_json_text
from hailo_whisper.speech.transcript import Segment, Token, Transcript, Word

SEGMENTS = [
    Segment(0.0, 2.5, " Unless to be", [50363, 17486], 0.0, -0.21, 1.2, 0.01, 0),
    Segment(2.5, 5.3, " ill-disposed.", [2801], 0.2, None, 1.1, None, 250),
]


def test_json() -> None:
    assert json.loads(json_text(Transcript(SEGMENTS, "en", 5.3))) == {
        "text": "Unless to be ill-disposed.",
        "usage": {"type": "duration", "seconds": 6},
    }


def test_verbose_json() -> None:
    assert json.loads(verbose_json_text(Transcript(SEGMENTS, "en", 5.3))) == {
        "task": "transcribe",
        "language": "english",
        "duration": 5.3,
        "text": "Unless to be ill-disposed.",
        "segments": [
            {
                "id": 0,
                "seek": 0,
                "start": 0.0,
                "end": 2.5,
                "text": " Unless to be",
                "tokens": [50363, 17486],
                "temperature": 0.0,
                "avg_logprob": -0.21,
                "compression_ratio": 1.2,
                "no_speech_prob": 0.01,
            },
            {
                "id": 1,
                "seek": 250,
                "start": 2.5,
                "end": 5.3,
                "text": " ill-disposed.",
                "tokens": [2801],
                "temperature": 0.2,
                "avg_logprob": None,
                "compression_ratio": 1.1,
                "no_speech_prob": None,
            },
        ],
        "usage": {"type": "duration", "seconds": 6},
    }


WORDS = [Word(0.1, 0.5, "Unless", 0.9), Word(2.5, 3.0, "ill-disposed.", None)]
TOKENS = [Token(" Un", -0.1, [32, 85, 110]), Token("less", -0.2, [108, 101, 115, 115])]
DETAILED = [
    replace(SEGMENTS[0], text=" Unless", words=WORDS[:1], logprobs=TOKENS),
    replace(SEGMENTS[1], words=WORDS[1:], logprobs=[]),
]


def test_words_and_segments() -> None:
    body = json.loads(verbose_json_text(Transcript(DETAILED, "en", 5.3), Details(words=True)))
    assert body["words"] == [
        {"word": "Unless", "start": 0.1, "end": 0.5},
        {"word": "ill-disposed.", "start": 2.5, "end": 3.0},
    ]
    assert len(body["segments"]) == 2
    assert not {"words", "logprobs"} & body["segments"][0].keys()


def test_words_alone() -> None:
    body = json.loads(verbose_json_text(Transcript(DETAILED, "en", 5.3), Details(segments=False, words=True)))
    assert list(body) == ["task", "language", "duration", "text", "words", "usage"]


def test_words_of_silence_are_there_and_none() -> None:
    body = json.loads(verbose_json_text(Transcript([], "en", 5.3), Details(segments=False, words=True)))
    assert (body["text"], body["words"]) == ("", [])


def test_words_that_nobody_asked_for_are_left_out() -> None:
    assert "words" not in json.loads(verbose_json_text(Transcript(DETAILED, "en", 5.3)))


def test_logprobs() -> None:
    said = Transcript(DETAILED[:1], "en", 5.3)
    assert json.loads(json_text(said, Details(logprobs=True)))["logprobs"] == [
        {"token": "Un", "logprob": -0.1, "bytes": [85, 110]},
        {"token": "less", "logprob": -0.2, "bytes": [108, 101, 115, 115]},
    ]
    assert "logprobs" not in json.loads(json_text(said))
    assert json.loads(json_text(Transcript([], "en", 5.3), Details(logprobs=True)))["logprobs"] == []


def test_a_translation_is_english_whatever_was_spoken() -> None:
    body = json.loads(verbose_json_text(Transcript(SEGMENTS, "de", 5.3), Details("translate")))
    assert (body["task"], body["language"]) == ("translate", "english")


def test_silence() -> None:
    assert json.loads(json_text(Transcript([], "en", 2.0))) == {"text": "", "usage": {"type": "duration", "seconds": 2}}
    verbose = json.loads(verbose_json_text(Transcript([], "de", 2.0)))
    assert (verbose["text"], verbose["segments"], verbose["language"]) == ("", [], "german")


def test_letters_of_other_scripts_are_not_escaped() -> None:
    said = Transcript([Segment(0, 1, " مرحبا", [], 0.0, None, 1.0, None, 0)], "ar", 1.0)
    assert "مرحبا" in json_text(said)
    assert "مرحبا" in verbose_json_text(said)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_survives(text: str) -> None:
    said = Transcript([Segment(0, 1, text, [], 0.0, None, 1.0, None, 0)], "en", 1.0)
    assert json.loads(json_text(said))["text"] == text.strip()
    assert json.loads(verbose_json_text(said))["segments"][0]["text"] == text

from dataclasses import replace

import pytest

from hailo_whisper.speech.transcript import Segment, Token, Transcript, WindowResult, Word, join
from hailo_whisper.speech.windows import Window

SEGMENT = Segment(0.5, 1.5, " one", [1], 0.0, -0.1, 1.0, 0.01, 50)


def test_times_count_from_the_beginning_of_the_recording() -> None:
    windows = [Window(0, 32000), Window(32000, 64000)]
    results = [WindowResult([SEGMENT], "en"), WindowResult([replace(SEGMENT, text=" two")], "en")]
    joined = join(windows, results, 4.0, "en")
    assert [(segment.start, segment.end, segment.seek) for segment in joined.segments] == [(0.5, 1.5, 50), (2.5, 3.5, 250)]
    assert joined.text == "one two"
    assert joined.duration == 4.0


def test_no_segment_ends_after_the_recording() -> None:
    joined = join([Window(0, 16000)], [WindowResult([SEGMENT], "en")], 1.0, "en")
    assert joined.segments[0].end == 1.0


@pytest.mark.parametrize(
    ("heard", "asked", "language"),
    [
        ([("de", True), ("en", True)], None, "de"),
        ([("de", False), ("en", True)], None, "en"),
        ([("de", False)], None, "de"),
        ([], "fr", "fr"),
        ([], None, "en"),
    ],
)
def test_the_language_is_that_of_the_first_speech(heard: list[tuple[str, bool]], asked: str | None, language: str) -> None:
    windows = [Window(n * 16000, (n + 1) * 16000) for n in range(len(heard))]
    results = [WindowResult([SEGMENT] if speech else [], code) for code, speech in heard]
    assert join(windows, results, len(heard), asked).language == language


def test_a_lost_window_is_noticed() -> None:
    with pytest.raises(ValueError, match="zip"):
        join([Window(0, 1), Window(1, 2)], [WindowResult([], "en")], 1.0, "en")


def test_silence_has_no_text() -> None:
    assert Transcript([], "en", 3.0).text == ""


def test_words_move_with_their_segment_and_stay_within_the_recording() -> None:
    spoken = replace(SEGMENT, words=[Word(0.5, 0.8, "one", 0.9), Word(0.8, 1.5, "two", None)])
    joined = join([Window(16000, 32000)], [WindowResult([spoken], "en")], 2.2, "en")
    assert joined.words == joined.segments[0].words == [Word(1.5, 1.8, "one", 0.9), Word(1.8, 2.2, "two", None)]


def test_words_that_nobody_asked_for_are_none() -> None:
    joined = join([Window(0, 16000)], [WindowResult([SEGMENT], "en")], 2.0, "en")
    assert (joined.segments[0].words, joined.segments[0].logprobs) == (None, None)
    assert (joined.words, joined.logprobs) == ([], [])


def _said(*pieces: bytes) -> Transcript:
    tokens = [Token(piece.decode(errors="replace"), -0.1, [*piece]) for piece in pieces]
    return Transcript([replace(SEGMENT, text=b"".join(pieces).decode(), logprobs=tokens)], "en", 2.0)


@pytest.mark.parametrize(
    "pieces",
    [
        (b" one", b" two"),
        (b" ", b"one", b" two", b" ", b" "),
        (b"  one  ",),
        (b" gr", b"\xc3", b"\xbc", b"n"),
        (b" \xe3\x80", b"\x8c ja"),
        (b" ",),
        (),
    ],
    ids=str,
)
def test_the_bytes_of_the_tokens_are_those_of_the_text(pieces: tuple[bytes, ...]) -> None:
    said = _said(*pieces)
    assert b"".join(bytes(token.bytes) for token in said.logprobs).decode() == said.text

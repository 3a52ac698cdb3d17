import pytest

from hailo_whisper.formats import FORMATS
from hailo_whisper.speech.transcript import Segment, Transcript

SAID = Transcript(
    [Segment(0, 1, " one", [], 0.0, None, 1.0, None, 0), Segment(1, 2, " two", [], 0.0, None, 1.0, None, 0)], "en", 2.0
)


def test_text_is_all_the_words_and_a_newline() -> None:
    render, _ = FORMATS["text"]
    assert render(SAID) == "one two\n"
    assert render(Transcript([], "en", 2.0)) == "\n"


def test_text_has_no_characters_that_are_commands() -> None:
    said = Transcript([Segment(0, 1, " a\0\x1b[2Jb\u2028c", [], 0.0, None, 1.0, None, 0)], "en", 2.0)
    assert FORMATS["text"].render(said) == "a[2Jb c\n"


@pytest.mark.parametrize(
    ("name", "content_type", "beginning"),
    [
        ("json", "application/json", '{"text": '),
        ("verbose_json", "application/json", '{"task": '),
        ("text", "text/plain; charset=utf-8", "one two"),
        ("srt", "text/plain; charset=utf-8", "1\n00:00:00,000 --> "),
        ("vtt", "text/plain; charset=utf-8", "WEBVTT\n"),
    ],
)
def test_every_format_by_its_name(name: str, content_type: str, beginning: str) -> None:
    render, kind = FORMATS[name]
    assert kind == content_type
    assert render(SAID).startswith(beginning)


def test_there_are_no_others() -> None:
    assert set(FORMATS) == {"json", "text", "srt", "verbose_json", "vtt"}

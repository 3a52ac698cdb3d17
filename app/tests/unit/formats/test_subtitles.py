import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hailo_whisper.formats.characters import printable
from hailo_whisper.formats.subtitles import srt, vtt
from hailo_whisper.speech.transcript import Segment, Transcript

TEXTS = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("-->\n &<")), max_size=40)
TIME = r"(\d{2,}):([0-5]\d):([0-5]\d)%s(\d{3})"


def transcript(*cues: tuple[float, float, str]) -> Transcript:
    segments = [Segment(start, end, text, [], 0.0, None, 1.0, None, 0) for start, end, text in cues]
    return Transcript(segments, "en", max((end for _, end, _ in cues), default=0.0))


def test_srt() -> None:
    said = transcript((0, 1.5, " Unless to be cold-hearted,"), (1.5, 5.3, " is to be ill-disposed."))
    assert srt(said) == (
        "1\n00:00:00,000 --> 00:00:01,500\nUnless to be cold-hearted,\n\n"
        "2\n00:00:01,500 --> 00:00:05,300\nis to be ill-disposed.\n\n"
    )


def test_vtt() -> None:
    said = transcript((0, 1.5, " Marks & Spencer <3"), (1.5, 5.3, " Bye."))
    assert vtt(said) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nMarks &amp; Spencer &lt;3\n\n00:00:01.500 --> 00:00:05.300\nBye.\n\n"
    )


def test_silence() -> None:
    assert srt(transcript()) == ""
    assert vtt(transcript()) == "WEBVTT\n\n"


@pytest.mark.parametrize(
    ("seconds", "time"),
    [
        (0.0, "00:00:00,000"),
        (0.9996, "00:00:01,000"),
        (59.9999, "00:01:00,000"),
        (3599.9999, "01:00:00,000"),
        (3661.042, "01:01:01,042"),
        (359_999.9996, "100:00:00,000"),
        (360_000.0, "100:00:00,000"),
        (4_000_000.5, "1111:06:40,500"),
    ],
)
def test_times(seconds: float, time: str) -> None:
    said = transcript((seconds, 5_000_000, "x"))
    assert srt(said).splitlines()[1] == f"{time} --> 1388:53:20,000"
    assert vtt(said).splitlines()[2] == f"{time.replace(',', '.')} --> 1388:53:20.000"


def test_a_cue_is_never_over_when_it_begins() -> None:
    assert srt(transcript((1, 1.0004, "x"))).splitlines()[1] == "00:00:01,000 --> 00:00:01,001"


def test_right_to_left_is_left_as_it_is() -> None:
    said = transcript((0, 1, " مرحبا بكم"))
    assert "\nمرحبا بكم\n" in srt(said)
    assert "\nمرحبا بكم\n" in vtt(said)


@pytest.mark.parametrize("text", ["a --> b", "a ---> b", "a -----> b", "-->-->"])
def test_an_arrow_in_the_text_is_no_time(text: str) -> None:
    for rendered in (srt(transcript((0, 1, text))), vtt(transcript((0, 1, text)))):
        assert rendered.count("-->") == 1


def test_a_segment_without_words_is_no_cue() -> None:
    said = transcript((0, 1, " "), (1, 2, " one"))
    assert srt(said) == "1\n00:00:01,000 --> 00:00:02,000\none\n\n"
    assert vtt(said) == "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\none\n\n"


def test_a_blank_line_in_the_text_ends_no_cue() -> None:
    assert srt(transcript((0, 1, " one\r\n\n\u2028\u2029\x85\x0btwo "))) == "1\n00:00:00,000 --> 00:00:01,000\none two\n\n"


def test_characters_that_are_commands_are_left_out() -> None:
    said = transcript((0, 1, " a\0b\x1b[31mc\x9b\x7f\td"))
    assert srt(said).splitlines()[2] == "ab[31mc d"
    assert vtt(said).splitlines()[3] == "ab[31mc d"


def test_marks_of_direction_and_joined_emoji_stay() -> None:
    text = "\u200fשלום, Ada\u200e 👩\u200d🔬"
    assert srt(transcript((0, 1, f" {text}"))).splitlines()[2] == text


def test_a_long_segment_is_one_cue_of_one_line_as_the_original_has_it() -> None:
    text = " ".join(["word"] * 500)
    assert srt(transcript((0, 30, f" {text}"))) == f"1\n00:00:00,000 --> 00:00:30,000\n{text}\n\n"


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6), TEXTS), max_size=5))
def test_any_text_and_times_give_as_many_cues(cues: list[tuple[float, float, str]]) -> None:
    said = transcript(*cues)
    for rendered, mark in ((srt(said), ","), (vtt(said).removeprefix("WEBVTT\n\n"), r"\.")):
        time = TIME % mark
        words = [text for _, _, text in cues if printable(text).strip()]
        assert rendered.count("-->") == len(words)
        # A cue is lines up to an empty one; str.splitlines would also split at what is no line end in these formats.
        blocks = rendered.split("\n\n")
        assert blocks.pop() == ""
        assert len(blocks) == len(words)
        for block in blocks:
            lines = block.split("\n")[1 if mark == "," else 0 :]
            assert re.fullmatch(f"{time} --> {time}", lines[0])
            assert len(lines) == 2

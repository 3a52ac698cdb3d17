from dataclasses import replace

import pytest

from hailo_whisper.speech.transcript import Segment, Transcript, WindowResult, join
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

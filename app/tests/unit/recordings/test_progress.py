import io
from pathlib import Path

import pytest

from hailo_whisper.recordings.progress import Progress

A, B, C = Path("a.wav"), Path("b.wav"), Path("c.wav")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_length_of_what_is_not_decoded_is_guessed_from_its_size() -> None:
    progress = Progress({A: 1000, B: 2000, C: 1000}, io.StringIO())
    assert progress.total == 0
    progress.known(A, 10.0)
    assert progress.total == pytest.approx(40.0)
    progress.known(B, 30.0)
    assert progress.total == pytest.approx(40 + 1000 * 40 / 3000)
    progress.known(C, 5.0)
    assert progress.total == pytest.approx(45.0)


def test_what_is_behind_counts_silence_only_when_a_recording_is_done() -> None:
    progress = Progress({A: 1000, B: 1000}, io.StringIO())
    progress.known(A, 10.0)
    progress.moved(A, 4.0)
    assert progress.done == pytest.approx(4.0)
    progress.moved(A, 40.0)
    assert progress.done == pytest.approx(10.0), "never more than the recording has"
    progress.finished(A, "a")
    assert progress.done == pytest.approx(10.0)


def test_a_recording_that_failed_is_waited_for_no_longer() -> None:
    progress = Progress({A: 1000, B: 3000}, io.StringIO())
    progress.known(A, 10.0)
    progress.finished(B, "b: failed")
    assert progress.total == pytest.approx(10.0)


def test_a_log_gets_a_line_a_recording() -> None:
    stream = io.StringIO()
    progress = Progress({A: 1}, stream)
    progress.known(A, 10.0)
    progress.moved(A, 5.0)
    progress.finished(A, "a.wav: done")
    progress.close()
    assert stream.getvalue() == "a.wav: done\n"


def test_a_terminal_gets_a_bar_as_well() -> None:
    stream = Terminal()
    progress = Progress({A: 1, B: 1}, stream)
    progress.known(A, 10.0)
    progress.finished(A, "a.wav: done")
    progress.close()
    shown = stream.getvalue()
    assert "a.wav: done\n" in shown
    assert "10 of 20 s of sound" in shown
    assert "1/2" in shown
    assert shown.endswith("\r"), "the bar is taken away"

import jiwer
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hailo_whisper.speech.words import error_rate, normalise

WORDS = st.lists(st.sampled_from(["unless", "to", "be", "rather", "cold"]), max_size=12).map(" ".join)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Unless, to be -- rather COLD-hearted!", ["unless", "to", "be", "rather", "cold", "hearted"]),
        ("Don’t", ["don't"]),
        ("Ｆｕｌｌ", ["full"]),
        ("مرحبا بكم", ["مرحبا", "بكم"]),
        ("...", []),
    ],
)
def test_normalise(text: str, words: list[str]) -> None:
    assert normalise(text) == words


@given(WORDS, WORDS)
def test_the_error_rate_is_that_of_the_field(reference: str, hypothesis: str) -> None:
    assume(reference)
    assert error_rate(reference, hypothesis) == pytest.approx(jiwer.wer(reference, hypothesis))


@given(st.text())
def test_the_same_is_no_error(text: str) -> None:
    assert error_rate(text, text) == 0


def test_nothing_expected() -> None:
    assert error_rate("", "") == 0
    assert error_rate("", "one two") == 2

"""Whether the right words were heard."""

import re

import jiwer


def words(text: str) -> str:
    """The words alone, in lower case."""
    return " ".join(re.findall(r"[\w']+", text.lower()))


def assert_heard(text: str, expected: str, wrong: float = 0.1) -> None:
    """At most this share of the words may be wrong."""
    assert jiwer.wer(words(expected), words(text)) <= wrong, text

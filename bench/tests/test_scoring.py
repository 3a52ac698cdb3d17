import pytest

from bench.numbers import spoken
from bench.scoring import normalise, score


@pytest.mark.parametrize(
    ("one", "other", "language"),
    [
        ("Press 1 to re-enter, Mr. O'Brien!", "press one to reenter mister o’brien", "en"),
        ("followed by # or *", "followed by pound or star", "en"),
        ("Your mailbox was cancelled.", "your mail box was canceled", "en"),
        ("a cold-hearted man of 21", "A cold hearted man of twenty-one", "en"),
        ("1,250 callers", "one thousand two hundred fifty callers", "en"),
        ("I'm sorry, that's all you can't do", "I am sorry that is all you cannot do", "en"),
        ("extension 007", "Extension zero zero seven.", "en"),
        ("¿Cuál es la contraseña? Marque 1.", "cual es la contrasena marque uno", "es"),
        ("Marque 45", "marque cuarenta y cinco", "es"),
        ("Appuyez sur 1, ré-enregistrez", "appuyez sur un réenregistrez", "fr"),
        ("il en a 71", "Il en a soixante et onze.", "fr"),
        ("il en a 96", "Il en a quatre-vingt-seize.", "fr"),
    ],
)
def test_what_is_only_written_differently_is_no_error(one: str, other: str, language: str) -> None:
    assert normalise(one, language) == normalise(other, language)
    assert score([(one, other)], language).errors == 0


@pytest.mark.parametrize(
    ("one", "other", "language"),
    [
        ("press one", "press two", "en"),
        ("press one", "press", "en"),
        ("été", "ete", "fr"),
        ("re enter", "reenter", "en"),
    ],
)
def test_what_is_heard_wrongly_is_one(one: str, other: str, language: str) -> None:
    assert score([(one, other)], language).errors > 0


def test_rates_are_pooled_over_clips() -> None:
    result = score([("one two three four", "one two three four"), ("stop", "go"), ("hello there you", "")], "en")
    assert (result.errors, result.words) == (4, 8)
    assert result.percent == 50


def test_words_that_nobody_said_are_errors_too() -> None:
    assert score([("", "thank you for watching")], "en").errors == 4
    assert score([], "en").percent == 0


@pytest.mark.parametrize(
    ("number", "language", "words"),
    [
        (0, "en", "zero"),
        (100, "es", "cien"),
        (115, "es", "ciento quince"),
        (1001, "es", "mil uno"),
        (200, "fr", "deux cents"),
        (80, "fr", "quatre-vingts"),
        (81, "fr", "quatre-vingt un"),
        (2021, "fr", "deux mille vingt et un"),
        (999999, "en", "nine hundred ninety nine thousand nine hundred ninety nine"),
    ],
)
def test_numbers(number: int, language: str, words: str) -> None:
    assert spoken(number, language) == words

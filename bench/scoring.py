"""Word error rate, as users would count: what is written in another way is no error, what is heard wrongly is one.

Before texts are compared, they lose case and punctuation; digits and signs become words; hyphens part words, except after the prefix
`re`; spellings that are both right become one, as do English contractions; and Spanish loses its accents, which the references of the corpus do not have.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

import jiwer

from .numbers import spoken

# How a sign is read out in the prompts.
_SIGNS = {
    "en": {"#": "pound", "*": "star", "&": "and", "%": "percent", "@": "at", "+": "plus"},
    "es": {"#": "numero", "*": "asterisco", "&": "y", "%": "por ciento", "@": "arroba", "+": "más"},
    "fr": {"#": "dièse", "*": "étoile", "&": "et", "%": "pour cent", "@": "arobase", "+": "plus"},
}
# Spellings that are both right, brought to one of them. Mistakes of a reference stay mistakes, for every target alike.
_SPELLINGS = {
    "en": {
        "mr": "mister", "mrs": "missus", "dr": "doctor", "ok": "okay", "filename": "file name", "voicemail": "voice mail",
        "mailbox": "mail box", "callback": "call back", "cancelled": "canceled", "cancelling": "canceling", "dialled": "dialed",
        "dialling": "dialing", "labelled": "labeled", "travelled": "traveled", "colour": "color", "favour": "favor",
        "honour": "honor", "neighbour": "neighbor", "behaviour": "behavior", "grey": "gray", "centre": "center", "theatre": "theater",
        "programme": "program", "cheque": "check", "towards": "toward", "unauthorised": "unauthorized", "authorised": "authorized",
        "recognise": "recognize", "realise": "realize", "organise": "organize", "apologise": "apologize", "goodbye": "good bye",
        "1st": "first", "2nd": "second", "3rd": "third",
    },
    "es": {"sr": "señor", "sra": "señora", "1a": "primera", "1o": "primero", "2a": "segunda", "2o": "segundo"},
    "fr": {"m": "monsieur", "mme": "madame", "1er": "premier", "1ère": "première", "2e": "deuxième"},
}  # fmt: skip

_CONTRACTIONS = [
    (r"\bwon't\b", "will not"),
    (r"\bcan't\b", "can not"),
    (r"\bcannot\b", "can not"),
    (r"n't\b", " not"),
    (r"'re\b", " are"),
    (r"'s\b", " is"),
    (r"'ll\b", " will"),
    (r"'ve\b", " have"),
    (r"'m\b", " am"),
]


@dataclass(frozen=True)
class Score:
    """Errors of some texts together."""

    errors: int
    words: int

    @property
    def percent(self) -> float:
        """Word error rate of all of them, so that a long text counts for more than a short one."""
        return 100.0 * self.errors / max(self.words, 1)


def normalise(text: str, language: str) -> list[str]:
    """The words of `text` as they are compared."""
    text = unicodedata.normalize("NFKC", text).lower().replace("’", "'")
    for sign, word in _SIGNS.get(language, _SIGNS["en"]).items():
        text = text.replace(sign, f" {word} ")
    for pattern, words in _CONTRACTIONS if language == "en" else []:
        text = re.sub(pattern, words, text)
    text = re.sub(r"\br([eé])-(?=\w)", r"r\1", text)
    # A comma or a full stop between digits belongs to the number, as in 1,000; as does the end of an ordinal.
    text = re.sub(r"(?<=\d)[.,](?=\d{3}\b)", "", text)
    spellings = _SPELLINGS.get(language, {})
    text = " ".join(spellings.get(word, word) for word in re.findall(r"[\w']+", text))
    text = re.sub(r"\d+", lambda match: f" {_number(match[0], language)} ", text)
    if language == "es":
        text = "".join(sign for sign in unicodedata.normalize("NFD", text) if not unicodedata.combining(sign))
    return [word.strip("'_") for word in re.findall(r"[\w']+", text) if word.strip("'_")]


def score(pairs: Iterable[tuple[str, str]], language: str) -> Score:
    """Compare pairs of a reference and what was heard, pooled: all errors over all words."""
    errors = words = 0
    for reference, heard in pairs:
        expected, got = normalise(reference, language), normalise(heard, language)
        words += len(expected)
        # jiwer refuses an empty reference, where every word is an error.
        if expected:
            output = jiwer.process_words(" ".join(expected), " ".join(got))
            errors += output.substitutions + output.deletions + output.insertions
        else:
            errors += len(got)
    return Score(errors, words)


def _number(digits: str, language: str) -> str:
    """A number in words; a long one, or one that begins with 0, is read digit by digit, as a telephone number is."""
    if len(digits) > 6 or (len(digits) > 1 and digits.startswith("0")):
        return " ".join(spoken(int(digit), language) for digit in digits)
    return spoken(int(digits), language)

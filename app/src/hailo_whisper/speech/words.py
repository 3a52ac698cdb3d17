"""Words as they are compared: for the warm-up, which is to hear a known clip right."""

import re
import unicodedata


def normalise(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation; hyphens part words."""
    return re.findall(r"[\w']+", unicodedata.normalize("NFKC", text).lower().replace("’", "'"))


def error_rate(reference: str, hypothesis: str) -> float:
    """Word error rate: the Levenshtein distance in words over the number of words of the reference."""
    expected, heard = normalise(reference), normalise(hypothesis)
    row = list(range(len(heard) + 1))
    for i, word in enumerate(expected, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
    return row[-1] / max(len(expected), 1)

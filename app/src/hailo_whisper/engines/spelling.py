"""What Whisper's tokens spell: the bytes of each, the characters that they make together, and the words of those.

Whisper's vocabulary is that of GPT-2: a token is a run of bytes, and a character may be spread over several tokens.
"""

import codecs
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

UNSPACED = frozenset(("zh", "ja", "th", "lo", "my", "yue"))
"""Languages that are written without spaces: https://github.com/openai/whisper, tokenizer.py, split_to_word_tokens()."""
# Marks that are read out, though Unicode counts them among the punctuation.
SPOKEN_MARKS = frozenset("%&#@/\\*§‰")
# They belong to what follows, besides all brackets and quotes that open; those of the second line where a space is before them.
# As Whisper has it in `prepend_punctuations`.
OPENING = frozenset("¿¡")
EITHER = frozenset("\"'-–—")


@dataclass(frozen=True)
class Piece:
    """Some tokens in a row, `first` to `last` (exclusive), and what they spell."""

    first: int
    last: int
    text: str

    @property
    def silent(self) -> bool:
        """Whether there is nothing in it that is said: punctuation and spaces."""
        return all(_silent(character) for character in self.text)


@dataclass(frozen=True)
class Spelt:
    """A word: its text without spaces around it, and the tokens that are heard, `first` to `last` (exclusive)."""

    text: str
    first: int
    last: int


@cache
def alphabet() -> dict[str, int]:
    """The byte that each letter of a vocabulary's file stands for: printable ones for themselves, the rest from U+0100 on."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(0x100 + n): byte for n, byte in enumerate(others)}


def raw(token: str) -> bytes:
    """The bytes of a token, as the vocabulary's file has it; those of the token itself when it is not in that alphabet."""
    try:
        return bytes(alphabet()[letter] for letter in token)
    except KeyError:
        return token.encode()


def characters(tokens: Sequence[bytes]) -> list[Piece]:
    """The tokens in pieces that end with a whole character; bytes that are no UTF-8 become U+FFFD."""
    pieces = []
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    first, text = 0, ""
    for i, token in enumerate(tokens):
        text += decoder.decode(token, i == len(tokens) - 1)
        if not decoder.getstate()[0]:
            pieces.append(Piece(first, i + 1, text))
            first, text = i + 1, ""
    return pieces


def mended(tokens: Sequence[bytes]) -> list[bytes]:
    """The same tokens with bytes that together are UTF-8: where they are not, the first of them spells U+FFFD and the others nothing."""
    found: list[bytes] = []
    for piece in characters(tokens):
        theirs = tokens[piece.first : piece.last]
        whole = piece.text.encode()
        found += theirs if b"".join(theirs) == whole else [whole, *[b""] * (len(theirs) - 1)]
    return found


def words(tokens: Sequence[bytes], *, spaced: bool) -> list[Spelt]:
    """The words that tokens spell, in order; punctuation belongs to its word, also where a space parts them.

    `spaced`: a word is what lies between spaces; else it is each character, but letters of ASCII stay together.
    """
    groups: list[list[Piece]] = []
    for piece in characters(tokens):
        if groups and not _begins(groups[-1][-1], piece, spaced):
            groups[-1].append(piece)
        else:
            groups.append([piece])
    return [_spelt(group) for group in _with_punctuation(groups)]


def _begins(before: Piece, piece: Piece, spaced: bool) -> bool:
    """Whether a piece begins a word."""
    if not piece.text:
        return False
    if piece.text[0].isspace() or (before.text and before.text[-1].isspace() and piece.text.strip()):
        return True
    if spaced or unicodedata.category(piece.text[0]).startswith("M"):
        return False
    return not (_latin(before.text[-1:]) and _latin(piece.text[0]))


def _with_punctuation(groups: Sequence[list[Piece]]) -> list[list[Piece]]:
    """Groups that are only punctuation put to the word before them, or after them when they open something."""
    merged: list[list[Piece]] = []
    opening: list[Piece] = []
    for group in groups:
        text = "".join(piece.text for piece in group)
        if not all(piece.silent for piece in group):
            merged.append([*opening, *group])
            opening = []
        elif text.strip() and all(_opens(character, text[0].isspace()) for character in text.strip()):
            opening += group
        elif merged and not opening:
            merged[-1] += group
        else:
            opening += group
    if opening:
        # Nothing follows.
        merged = [*merged[:-1], [*merged[-1], *opening]] if merged else [opening]
    return [group for group in merged if "".join(piece.text for piece in group).strip()]


def _spelt(group: Sequence[Piece]) -> Spelt:
    heard = [piece for piece in group if not piece.silent] or group
    return Spelt("".join(piece.text for piece in group).strip(), heard[0].first, heard[-1].last)


def _silent(character: str) -> bool:
    if character in SPOKEN_MARKS:
        return False
    return character.isspace() or unicodedata.category(character)[0] in "PC"


def _opens(character: str, apart: bool) -> bool:
    return character in OPENING or unicodedata.category(character) in ("Ps", "Pi") or (apart and character in EITHER)


def _latin(character: str) -> bool:
    return character.isascii() and character.isalnum()

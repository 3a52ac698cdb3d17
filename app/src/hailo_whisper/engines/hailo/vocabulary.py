"""Whisper's tokens by their numbers: what each is for, and what it spells."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from ...models import official
from ...speech.languages import LANGUAGES
from .. import spelling


class Vocabulary:
    """The tokens of a model that has so many. Raises KeyError for a number that no Whisper has."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._letters = official.tokens(official.tokenizer(size), size)
        number = {letters: token for token, letters in enumerate(self._letters)}
        self.end = number["<|endoftext|>"]
        self.start = number["<|startoftranscript|>"]
        self.no_speech = number.get("<|nospeech|>", number.get("<|nocaptions|>", -1))
        self.timestamp_begin = number["<|notimestamps|>"] + 1
        self._tasks = {"transcribe": number["<|transcribe|>"], "translate": number["<|translate|>"]}
        self.multilingual = size != official.ENGLISH
        known = {code: number[f"<|{code}|>"] for code in LANGUAGES if f"<|{code}|>" in number}
        self.languages = known if self.multilingual else {"en": self.start}
        """The token of each language; where there is but one, it has none of its own."""
        # Never to be said: signs that nobody speaks, and whatever is there to control the decoder.
        self.never = np.array(sorted({*official.suppressed(size)["suppress_ids"], *range(self.end + 1, self.timestamp_begin)}))

    def prompt(self, language: str, task: Literal["transcribe", "translate"]) -> list[int]:
        """What the decoder is begun with."""
        return [self.start, self.languages[language], self._tasks[task]] if self.multilingual else [self.start]

    def spelling(self, tokens: Sequence[int]) -> list[bytes]:
        """The bytes of each token, which together are UTF-8: none for those that are no text."""
        return spelling.mended([spelling.raw(self._letters[token]) if token < self.end else b"" for token in tokens])

    def text(self, tokens: Sequence[int]) -> str:
        """What tokens spell, without those that are no text."""
        return b"".join(self.spelling(tokens)).decode(errors="replace")

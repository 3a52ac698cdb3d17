"""The decoder's loop on the host: which token comes next, and how probable it was."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..decoding import Decoded
from ..trouble import DeviceTrouble
from . import rules
from .vocabulary import Vocabulary

Encoded = NDArray[np.float32]


class Decoder(Protocol):
    """What gives the logits: the network on the device."""

    @property
    def places(self) -> int:
        """How many tokens it takes, those of the prompt counted in."""
        ...

    def logits(self, encoded: Encoded, tokens: Sequence[int], since: int = 0) -> NDArray[np.float32]:
        """Those after each of the tokens from token `since` on: shape (tokens - since, vocabulary)."""
        ...


@dataclass(frozen=True)
class Way:
    """How a token is chosen: the likeliest one at temperature 0; else one is drawn. A `penalty` above 1 is for those said just before."""

    temperature: float = 0.0
    penalty: float = 1.0


@dataclass(frozen=True)
class Written:
    """A decoding, and the natural logarithm of each of its tokens' probabilities.

    They are the model's own among all tokens, whatever the rules left of them and whether there was a penalty: the thresholds of `decoding`
    were found with such.
    """

    decoded: Decoded
    logprobs: list[float]


class Search:
    """Writes what was said in encoded windows."""

    def __init__(self, decoder: Decoder, vocabulary: Vocabulary, random: np.random.Generator | None = None) -> None:
        self._decoder = decoder
        self._vocabulary = vocabulary
        self._random = random or np.random.default_rng()

    def language(self, encoded: Encoded) -> str:
        """The likeliest language of a window, as an ISO 639-1 code."""
        languages = self._vocabulary.languages
        if not self._vocabulary.multilingual:
            return next(iter(languages))
        (row,) = self._rows(encoded, [self._vocabulary.start])
        return max(languages, key=lambda code: row[languages[code]])

    def write(self, encoded: Encoded, prompt: Sequence[int], seconds: float, way: Way) -> Written:
        """Decode a window with so many seconds of sound; one that fills all places is not `finished`."""
        vocabulary = self._vocabulary
        rows = self._rows(encoded, prompt)
        # As Whisper tells it: by what comes first, before language and task are named.
        no_speech = float(np.exp(rules.log_probabilities(rows[0])[vocabulary.no_speech]))
        said, logprobs = list[int](), list[float]()
        while True:
            token, logprob = self._next(rows[-1], said, seconds, way)
            logprobs.append(logprob)
            if token == vocabulary.end:
                break
            said.append(token)
            if len(prompt) + len(said) > self._decoder.places:
                break
            written = [*prompt, *said]
            rows = self._rows(encoded, written, len(written) - 1)
        finished = len(logprobs) > len(said)
        decoded = Decoded(
            tokens=said,
            text=vocabulary.text(said).strip(),
            temperature=way.temperature,
            # As Whisper's, that of the end counts too.
            avg_logprob=sum(logprobs) / len(logprobs),
            no_speech_prob=no_speech,
            finished=finished,
        )
        return Written(decoded, logprobs[: len(said)])

    def _next(self, row: rules.Logits, said: Sequence[int], seconds: float, way: Way) -> tuple[int, float]:
        vocabulary = self._vocabulary
        given = row if way.penalty <= 1 else rules.penalised(row, said, way.penalty, vocabulary)
        left = rules.allowed(given, said, vocabulary, seconds)
        if way.temperature:
            chances = np.exp(rules.log_probabilities(left / way.temperature))
            token = int(self._random.choice(len(chances), p=chances / chances.sum()))
        else:
            token = int(left.argmax())
        return token, float(rules.log_probabilities(row)[token])

    def _rows(self, encoded: Encoded, tokens: Sequence[int], since: int = 0) -> rules.Logits:
        rows = self._decoder.logits(encoded, tokens, since).astype(np.float64)
        if not np.isfinite(rows).all():
            raise DeviceTrouble(
                "The decoder on the device gave values that are no numbers. It is started anew; if that comes again, pull the model again "
                "(`hailo-whisper models verify`), and switch the machine off and on."
            )
        return rows

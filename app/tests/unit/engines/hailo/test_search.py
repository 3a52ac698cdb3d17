"""The decoder's loop: greedy, by the rules, with the probabilities of what it chose."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from hailo_whisper.engines.hailo.search import Search, Way
from hailo_whisper.engines.hailo.vocabulary import Vocabulary
from hailo_whisper.engines.trouble import DeviceTrouble
from hailo_whisper.models.official import ENGLISH, MULTILINGUAL

WORDS = Vocabulary(MULTILINGUAL)
PROMPT = WORDS.prompt("en", "transcribe")
HELLO, THERE = 2425, 456
NOTHING = np.zeros((1, 10, 4), np.float32)


def at(seconds: float) -> int:
    """The token of a timestamp."""
    return WORDS.timestamp_begin + round(seconds / 0.02)


class Scripted:
    """Gives logits by what was said after the prompt; all others are 0."""

    def __init__(self, script: Callable[[list[int]], dict[int, float]], places: int = 32, size: int = WORDS.size) -> None:
        self.places = places
        self.runs: list[int] = []
        self._script = script
        self._size = size

    def logits(self, encoded: NDArray[np.float32], tokens: Sequence[int], since: int = 0) -> NDArray[np.float32]:
        assert len(tokens) <= self.places
        self.runs.append(len(tokens))
        found = np.zeros((len(tokens), self._size), np.float32)
        for row in range(len(tokens)):
            for token, logit in self._script([*tokens[: row + 1]]).items():
                found[row, token] = logit
        return found[since:]


def _says(*text: int, likely: float = 20.0) -> Callable[[list[int]], dict[int, float]]:
    def script(tokens: list[int]) -> dict[int, float]:
        said = len(tokens) - len(PROMPT)
        return {(*text, WORDS.end)[min(said, len(text))]: likely} if said >= 0 else {}

    return script


SENTENCE = (at(0), HELLO, THERE, at(1.5))


def test_what_it_writes() -> None:
    decoder = Scripted(_says(*SENTENCE))
    written = Search(decoder, WORDS).write(NOTHING, PROMPT, 2.0, Way())
    assert written.decoded.tokens == [*SENTENCE]
    assert written.decoded.text == "Hello there"
    assert written.decoded.finished
    assert written.decoded.temperature == 0
    assert len(written.logprobs) == len(SENTENCE)
    assert decoder.runs == [3, 4, 5, 6, 7]


def test_its_probabilities_are_those_of_the_decoder() -> None:
    def script(tokens: list[int]) -> dict[int, float]:
        # One word is as likely as another; all else is out of the question.
        found = _says(*SENTENCE, likely=90.0)(tokens)
        return found | ({THERE: 90.0} if HELLO in found else {})

    written = Search(Scripted(script), WORDS).write(NOTHING, PROMPT, 2.0, Way())
    assert sorted(round(math.exp(logprob), 3) for logprob in written.logprobs) == [0.5, 1.0, 1.0, 1.0]
    # The end's own counts too.
    assert written.decoded.avg_logprob == pytest.approx(math.log(0.5) / 5, abs=1e-6)


def test_no_speech_is_told_by_what_comes_first() -> None:
    def script(tokens: list[int]) -> dict[int, float]:
        return {WORDS.no_speech: math.log(WORDS.size)} if len(tokens) == 1 else _says(*SENTENCE)(tokens)

    written = Search(Scripted(script), WORDS).write(NOTHING, PROMPT, 2.0, Way())
    assert written.decoded.no_speech_prob == pytest.approx(0.5, abs=1e-3)


def test_where_the_places_end() -> None:
    # As many tokens as the last place still tells of: one more than there are places left.
    decoder = Scripted(_says(at(0), *[HELLO, THERE] * 20), places=8)
    written = Search(decoder, WORDS).write(NOTHING, PROMPT, 2.0, Way())
    assert len(written.decoded.tokens) == 6
    assert not written.decoded.finished
    assert max(decoder.runs) == 8
    assert written.decoded.avg_logprob == pytest.approx(sum(written.logprobs) / 6)


def test_the_likeliest_language_whatever_is_likelier() -> None:
    def script(tokens: list[int]) -> dict[int, float]:
        return {WORDS.languages["de"]: 5.0, WORDS.languages["en"]: 4.0, HELLO: 9.0}

    decoder = Scripted(script)
    assert Search(decoder, WORDS).language(NOTHING) == "de"
    assert decoder.runs == [1]


def test_a_model_of_one_language_is_not_asked() -> None:
    english = Vocabulary(ENGLISH)
    decoder = Scripted(lambda tokens: {}, size=english.size)
    assert Search(decoder, english).language(NOTHING) == "en"
    assert not decoder.runs


class TestOtherWays:
    def test_a_penalty_breaks_a_loop_and_the_probability_is_still_the_decoders(self) -> None:
        def script(tokens: list[int]) -> dict[int, float]:
            said = tokens[len(PROMPT) :]
            return {at(0): 20.0} if not said else {HELLO: 20.0, WORDS.end: 18.0}

        looped = Search(Scripted(script), WORDS).write(NOTHING, PROMPT, 2.0, Way())
        assert not looped.decoded.finished
        ended = Search(Scripted(script), WORDS).write(NOTHING, PROMPT, 2.0, Way(penalty=1.5))
        assert ended.decoded.tokens == [at(0), HELLO]
        assert ended.decoded.finished
        end = 3 * ended.decoded.avg_logprob - sum(ended.logprobs)
        assert end == pytest.approx(math.log(1 / (1 + math.exp(2))), abs=1e-3)

    def test_at_a_temperature_it_is_drawn(self) -> None:
        def script(tokens: list[int]) -> dict[int, float]:
            found = _says(*SENTENCE, likely=90.0)(tokens)
            return found | ({THERE: 90.0} if HELLO in found else {})

        firsts = set()
        for seed in range(20):
            search = Search(Scripted(script), WORDS, np.random.default_rng(seed))
            written = search.write(NOTHING, PROMPT, 2.0, Way(temperature=0.5))
            assert written.decoded.temperature == 0.5
            firsts.add(written.decoded.tokens[1])
        assert firsts == {HELLO, THERE}


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_trouble_of_the_device(value: float) -> None:
    decoder = Scripted(lambda tokens: {HELLO: value})
    with pytest.raises(DeviceTrouble, match="values that are no numbers"):
        Search(decoder, WORDS).write(NOTHING, PROMPT, 2.0, Way())
    with pytest.raises(DeviceTrouble, match="switch the machine off and on"):
        Search(decoder, WORDS).language(NOTHING)

"""The engine on an encoder and a decoder, for the Hailo-8, the Hailo-8L, and the Hailo-10H without HailoRT's genai API.

The decoding is Whisper's own, on the host, so that there are probabilities. What does not fit into the decoder's places is heard again.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...models import hefs
from ...speech.transcript import Segment, WindowResult
from ...speech.waveform import RATE, Samples
from .. import alignment, decoding
from ..alignment import Heard
from ..decoding import COMPRESSION_RATIO, Decoded
from ..engine import Capabilities, ModelConfig, Options
from ..trouble import Trouble
from . import hef, mel
from .binding import Binding
from .listening import LEAST, SEARCH, quietest
from .networks import Encoded, Pair, anew
from .search import Search, Way, Written
from .vocabulary import Vocabulary

# What looks wrong is written again: with a penalty for repeating, then with ever more of chance.
LADDER = (Way(), Way(penalty=1.3), Way(temperature=0.4), Way(temperature=0.8))
MARGIN = 0.08
"""Of what the encoder is given, so much is silence behind even the longest window: it hears the end of speech better."""
TOKENS_PER_SECOND = 4.5
"""That speech at a usual pace is written with, time stamps counted in: longer windows than the decoder has places for are not cut."""
UNHEARD = 1.0
"""Seconds at the end of a window that the decoder has left unheard when there is speech in it."""
PROGRESS = 0.5
"""Seconds that have to be heard before the rest is listened to again: else it would be the same again."""


@dataclass(frozen=True)
class _Wanted:
    """What is wanted of a window."""

    language: str
    options: Options


@dataclass(frozen=True)
class _Result:
    segments: list[Segment]
    fallbacks: int


class PairEngine:
    """Runs inside the worker. One window at a time."""

    def __init__(self) -> None:
        self._loaded: tuple[Pair, Vocabulary] | None = None

    @property
    def capabilities(self) -> Capabilities:
        """What the loaded model can do."""
        pair, vocabulary = self._pair
        room = pair.places - len(vocabulary.prompt("en", "transcribe"))
        return Capabilities(
            window_seconds=min(pair.seconds * (1 - MARGIN), room / TOKENS_PER_SECOND),
            batch=1,
            lanes=1,
            express=False,
            languages=[*vocabulary.languages],
            detects_language=vocabulary.multilingual,
            translates=vocabulary.multilingual,
            prompts=False,
            hotwords=False,
            temperature=True,
            words=False,
            logprobs=True,
            unavailable=[],
        )

    def load(self, config: ModelConfig) -> None:
        """Check the files, take the device and load them there. Raises Trouble, with what to do about it."""
        binding = Binding()
        network = hefs.at(config.path)
        found = [hef.read(path) for path in network.hefs]
        if found[0].architecture != found[1].architecture:
            one, other = (f"{each.path.name} for {each.architecture}" for each in found)
            raise Trouble(f"The two files in {config.path} were made for different devices: {one}, {other}. {anew()}")
        device = binding.open(config.group)
        try:
            hef.check_device(found[0], device.architecture)
            pair = Pair(binding, device, network)
        except BaseException:
            device.release()
            raise
        try:
            self._loaded = pair, Vocabulary(pair.vocabulary)
        except KeyError:
            pair.close()
            raise Trouble(
                f"The model in {config.path} has {pair.vocabulary} tokens, and no Whisper that is known has so many. {anew()}"
            ) from None

    def transcribe(self, batch: list[Samples], options: Options) -> list[WindowResult]:
        """Transcribe windows, each of shape (samples,), one after the other."""
        return [self._window(samples, options) for samples in batch]

    def close(self) -> None:
        """Give the device back."""
        loaded, self._loaded = self._loaded, None
        if loaded is not None:
            loaded[0].close()

    @property
    def _pair(self) -> tuple[Pair, Vocabulary]:
        if self._loaded is None:
            raise RuntimeError("no model is loaded")
        return self._loaded

    def _window(self, samples: Samples, options: Options) -> WindowResult:
        pair, vocabulary = self._pair
        encoded = self._encoded(samples)
        language = options.language or Search(pair, vocabulary).language(encoded)
        wanted = _Wanted(language, options)
        if len(samples) > pair.seconds * RATE:
            # As the clip that is heard first of all may be.
            found = self._joined(self._halves(samples), wanted, [], 0)
        else:
            found = self._heard(samples, encoded, wanted)
        return WindowResult(found.segments, language, found.fallbacks)

    def _halves(self, samples: Samples, at: int = 0) -> list[tuple[Samples, int]]:
        """Samples, the first of which is sample `at` of the window, parted around their middle until the encoder takes them."""
        pair, _ = self._pair
        seconds = len(samples) / RATE
        middle = quietest(samples, seconds / 2, seconds / 6)
        found: list[tuple[Samples, int]] = []
        for half, place in ((samples[:middle], at), (samples[middle:], at + middle)):
            found += self._halves(half, place) if len(half) > pair.seconds * RATE else [(half, place)]
        return found

    def _encoded(self, samples: Samples) -> Encoded:
        pair, _ = self._pair
        return pair.encode(mel.features(samples, pair.frames))

    def _heard(self, samples: Samples, encoded: Encoded, wanted: _Wanted, at: int = 0) -> _Result:
        """What is said in some samples, the first of which is sample `at` of the window."""
        _, vocabulary = self._pair
        seconds = len(samples) / RATE
        tries = self._written(encoded, seconds, wanted)
        decoded = decoding.chosen([written.decoded for written in tries])
        again = len(tries) - 1
        # A rest in which there is nothing to be understood is breath or noise, and what is said of it invented.
        if decoded is None or (at and _doubtful(decoded)):
            return _Result([], again)
        written = next(written for written in tries if written.decoded is decoded)
        parts, heard = decoding.parts(decoded.tokens, vocabulary.timestamp_begin, seconds, decoded.finished)
        segments = _segments(written, parts, vocabulary, at, wanted.options)
        if not decoded.finished and heard >= seconds:
            # All places were used up, and no time stamp tells how far it came.
            if seconds < 2 * LEAST:
                return _Result(segments, again)
            return self._joined(self._halves(samples, at), wanted, [], again + 1)
        if heard < PROGRESS or seconds - heard <= (UNHEARD if decoded.finished else SEARCH):
            return _Result(segments, again)
        rest = round(heard * RATE)
        return self._joined([(samples[rest:], at + rest)], wanted, segments, again + (not decoded.finished))

    def _joined(self, pieces: Sequence[tuple[Samples, int]], wanted: _Wanted, before: list[Segment], again: int) -> _Result:
        """What was heard before, and what is heard in some pieces of the window, each with the place where it begins."""
        found = [self._heard(piece, self._encoded(piece), wanted, at) for piece, at in pieces]
        segments = [*before, *(segment for result in found for segment in result.segments)]
        return _Result(segments, again + sum(result.fallbacks for result in found))

    def _written(self, encoded: Encoded, seconds: float, wanted: _Wanted) -> list[Written]:
        """All the tries of a window, of which the last one is good, or there was no other left."""
        pair, vocabulary = self._pair
        options = wanted.options
        search, prompt = Search(pair, vocabulary), vocabulary.prompt(wanted.language, options.task)
        tries: list[Written] = []
        for way in [Way(temperature=options.temperature)] if options.temperature else LADDER:
            tries.append(search.write(encoded, prompt, seconds, way))
            if not _doubtful(tries[-1].decoded) or tries[-1].decoded.silent:
                break
        return tries


def _doubtful(decoded: Decoded) -> bool:
    """Whether it looks wrong, so that another try is worth its time. That it was cut off is no fault of how it was written."""
    return replace(decoded, finished=True).doubtful or (not decoded.finished and decoded.compression_ratio > COMPRESSION_RATIO)


def _segments(
    written: Written, parts: Sequence[decoding.Part], vocabulary: Vocabulary, at: int, options: Options
) -> list[Segment]:
    """The segments of a piece that begins at sample `at` of its window, from whose beginning their times count."""
    decoded = written.decoded
    texts = [
        logprob for token, logprob in zip(decoded.tokens, written.logprobs, strict=True) if token < vocabulary.timestamp_begin
    ]
    found = []
    offset = at / RATE
    for part in parts:
        logprobs, texts = texts[: len(part.tokens)], texts[len(part.tokens) :]
        text = vocabulary.text(part.tokens).rstrip()
        if not text:
            continue
        tokens = [
            Heard(data, part.start, part.end, math.exp(logprob))
            for data, logprob in zip(vocabulary.spelling(part.tokens), logprobs, strict=True)
        ]
        found.append(
            Segment(
                start=part.start + offset,
                end=part.end + offset,
                text=text,
                tokens=part.tokens,
                temperature=decoded.temperature,
                avg_logprob=decoded.avg_logprob,
                compression_ratio=decoded.compression_ratio,
                no_speech_prob=decoded.no_speech_prob,
                seek=round(offset * mel.FRAMES),
                logprobs=alignment.logprobs(tokens) if options.logprobs else None,
            )
        )
    return found

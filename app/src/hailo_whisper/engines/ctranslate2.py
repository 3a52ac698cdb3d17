"""The engine for CPUs, and for NVIDIA GPUs: Whisper in CTranslate2 form.

faster-whisper loads the model and makes the features. The decoding itself is ours, because its own always hands
the encoder 30 s: here the encoder is given the speech and a margin, which for a short command is a third of the work. See
docs/speed.md for what that costs and gains.
"""

import contextlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from ..accelerators import cpu
from ..speech.transcript import Segment, WindowResult, Word
from ..speech.waveform import RATE, Samples
from . import alignment, cuda
from .alignment import Heard, Stretch
from .decoding import TICK, Decoded, Part, chosen, parts
from .engine import Capabilities, ModelConfig, Options, Strain
from .headroom import Headroom
from .spelling import UNSPACED
from .whisper import FRAMES, FULL, Asked, Encoded, Features, Whisper, check_compute_type, ticks

# Whisper's own ladder: https://github.com/openai/whisper, transcribe(), `temperature`.
LADDER = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
BATCH = 8
# The decoder's memory of the encoder's output is 1.2 MB a second for base, and 16 MB for large.
BATCH_SECONDS = 72.0
# Windows of one decoding are made equally long by padding; more than this of it is not worth having them together.
STRETCH = 1.5
# Sound at the end of a window, in seconds, that the decoder has left unheard when there is speech in it.
UNHEARD = 2.0
MAX_LANES = 4
# On a GPU: it decodes one batch while the host makes the features of the other.
GPU_LANES = 2
# And there it reads the weights once for all windows of a batch, as long as there is memory for them.
GPU_BATCH = 16


@dataclass
class _Piece:
    """A window, or what is left of it: `offset` is the first sample in the window."""

    window: int
    offset: int
    samples: Samples
    features: Features | None = None
    encoded: dict[float, Encoded] = field(default_factory=dict)
    """By the context, in seconds: the ladder decodes the same again and again."""

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE


@dataclass(frozen=True)
class _Wanted:
    """What is wanted of the windows of one language; `previous` is what the options say as tokens."""

    language: str
    options: Options
    previous: Sequence[int]


class CTranslate2Engine:
    """Takes windows of up to 30 s, several at once, and several such batches at the same time."""

    def __init__(self) -> None:
        self._loaded: Whisper | None = None
        self._config = ModelConfig(Path(), "int8", 0)
        self._lanes = 1
        self._most = BATCH
        self._headroom = Headroom(BATCH_SECONDS)

    @property
    def capabilities(self) -> Capabilities:
        """What the loaded model can do."""
        return Capabilities(
            window_seconds=FULL,
            batch=self._config.batch or self._most,
            lanes=self._lanes,
            express=True,
            languages=self._whisper.languages,
            detects_language=self._whisper.multilingual,
            translates=self._whisper.translates,
            prompts=True,
            hotwords=True,
            temperature=True,
            words=self._whisper.aligns,
            logprobs=self._whisper.aligns,
            unavailable=[],
        )

    @property
    def strain(self) -> Strain:
        """How it does with the GPU's memory."""
        return self._headroom.strain

    def load(self, config: ModelConfig) -> None:
        """Load the folder's model, from nowhere else. Raises Trouble when the device cannot be used as it is to be."""
        threads = config.threads or cpu.cores()
        self._config = config
        path, device, index = config.path, config.device, config.device_index
        self._lanes = config.workers or (GPU_LANES if device == "cuda" else lanes(threads))
        # One more worker, for the express: it shares the model's weights with the others.
        workers = self._lanes + 1
        with cuda.usable(path, index) if device == "cuda" else contextlib.nullcontext():
            check_compute_type(config.compute_type, device, index)
            self._loaded = Whisper(path, config.compute_type, max(threads // self._lanes, 1), workers, device=device, index=index)
        if device == "cuda":
            room = cuda.room(path, self._loaded.compute_type, index, workers)
            self._headroom = Headroom(BATCH_SECONDS if room is None else min(room, GPU_BATCH * FULL), cuda.short)
            self._most = min(max(int(self._headroom.seconds // config.least_seconds), 1), GPU_BATCH)

    def transcribe(self, batch: list[Samples], options: Options) -> list[WindowResult]:
        """Transcribe windows, each of shape (samples,) and of 30 s at most. May be called from several threads at once.

        Raises DeviceTrouble when the GPU fails, and NoMemory when it has too little memory left even for one window.
        """
        with cuda.failing() if self._config.device == "cuda" else contextlib.nullcontext():
            return self._transcribe(batch, options)

    def close(self) -> None:
        """Drop the model."""
        self._loaded = None

    def _transcribe(self, batch: list[Samples], options: Options) -> list[WindowResult]:
        if options.task == "translate" and not self._whisper.translates:
            raise ValueError("the model does not translate")
        previous = self._whisper.previous(options.prompt, options.hotwords)
        pieces = [_Piece(window, 0, samples) for window, samples in enumerate(batch)]
        languages = [options.language or self._headroom.within(partial(self._detect, piece)) for piece in pieces]
        segments: list[list[Segment]] = [[] for _ in batch]
        fallbacks = [0] * len(batch)
        while pieces:
            left: list[_Piece] = []
            for language, group in self._groups(pieces, languages):
                wanted = _Wanted(language, options, previous)
                all_tries = self._headroom.by_parts(group, self._context, partial(self._decode, wanted=wanted))
                for piece, tries in zip(group, all_tries, strict=True):
                    fallbacks[piece.window] += len(tries) - 1
                    decoded = chosen(tries)
                    # A rest in which there is nothing to be understood is breath or noise, and what is said of it invented.
                    if decoded is None or (piece.offset and decoded.doubtful):
                        continue
                    found, heard = parts(decoded.tokens, self._whisper.timestamp_begin, piece.seconds, decoded.finished)
                    rest = round(heard * RATE)
                    unheard = bool(rest) and piece.seconds - heard > UNHEARD
                    if unheard:
                        left.append(_Piece(piece.window, piece.offset + rest, piece.samples[rest:]))
                    said = self._segments(piece, found, decoded)
                    if options.words or options.logprobs:
                        until = heard if unheard else piece.seconds
                        said = self._headroom.within(partial(self._aligned, piece, said, decoded, until, wanted))
                    segments[piece.window] += [_moved(segment, piece.offset / RATE) for segment in said]
                for piece in group:
                    piece.encoded.clear()
            pieces = left
        self._headroom.worked()
        return [WindowResult(*result) for result in zip(segments, languages, fallbacks, strict=True)]

    @property
    def _whisper(self) -> Whisper:
        if self._loaded is None:
            raise RuntimeError("no model is loaded")
        return self._loaded

    def _groups(self, pieces: Sequence[_Piece], languages: Sequence[str]) -> list[tuple[str, list[_Piece]]]:
        """Put pieces together that are decoded at once: of one language, of about one length, not too much of them."""
        groups: list[tuple[str, list[_Piece]]] = []
        for piece in sorted(pieces, key=lambda piece: (languages[piece.window], -piece.seconds)):
            language, context = languages[piece.window], self._context(piece)
            if groups and groups[-1][0] == language:
                group = groups[-1][1]
                # The first is the longest, to whose length the others are padded.
                longest = self._context(group[0])
                if longest <= STRETCH * context and longest * (len(group) + 1) <= self._headroom.seconds:
                    group.append(piece)
                    continue
            groups.append((language, [piece]))
        return groups

    def _context(self, piece: _Piece) -> float:
        """Seconds that the encoder is given for a piece."""
        return min(max(piece.seconds + self._config.margin_seconds, self._config.least_seconds), FULL)

    def _features(self, piece: _Piece) -> Features:
        if piece.features is None:
            piece.features = self._whisper.features(piece.samples)
        return piece.features

    def _encoded(self, piece: _Piece, context: float) -> Encoded:
        if context not in piece.encoded:
            piece.encoded[context] = self._whisper.encode(self._features(piece), context)
        return piece.encoded[context]

    def _detect(self, piece: _Piece) -> str:
        """The language of a window, as an ISO 639-1 code."""
        whisper = self._whisper
        return whisper.detect(self._encoded(piece, self._context(piece))) if whisper.multilingual else whisper.languages[0]

    def _decode(self, group: Sequence[_Piece], wanted: _Wanted) -> list[list[Decoded]]:
        """Decode pieces, those that look wrong again and again: all the tries of each."""
        options = wanted.options
        temperatures = LADDER if options.temperature == 0 else (options.temperature,)
        cut = max(self._context(piece) for piece in group)
        rungs = [(FULL, temperature) for temperature in temperatures]
        if cut < FULL:
            rungs.insert(0, (cut, temperatures[0]))
        tries: list[list[Decoded]] = [[] for _ in group]
        before = 0.0
        for context, temperature in rungs:
            todo = [i for i, tried in enumerate(tries) if not tried or _again(tried[-1], before)]
            before = context
            # What is to be tried again is rare, and in full context it takes more memory.
            size = max(int(self._headroom.seconds // context), 1)
            for some in (todo[at : at + size] for at in range(0, len(todo), size)):
                longest = max(group[i].seconds for i in some)
                asked = Asked(wanted.language, options.task, wanted.previous, options.beam, temperature, longest, context)
                encoded = [self._encoded(group[i], context) for i in some]
                for i, decoded in zip(some, self._whisper.generate(encoded, asked), strict=True):
                    tries[i].append(decoded)
        return tries

    def _segments(self, piece: _Piece, found: Sequence[Part], decoded: Decoded) -> list[Segment]:
        """The segments of a piece, from whose beginning their times count."""
        return [
            Segment(
                start=part.start,
                end=part.end,
                text=text,
                tokens=part.tokens,
                temperature=decoded.temperature,
                avg_logprob=decoded.avg_logprob,
                compression_ratio=decoded.compression_ratio,
                no_speech_prob=decoded.no_speech_prob,
                seek=round(piece.offset / RATE * FRAMES),
            )
            for part in found
            if (text := self._whisper.text(part.tokens).rstrip())
        ]

    def _aligned(self, piece: _Piece, segments: list[Segment], decoded: Decoded, until: float, wanted: _Wanted) -> list[Segment]:
        """The segments with their words and the probabilities of their tokens. They are about `until` seconds of the piece."""
        options, whisper = wanted.options, self._whisper
        tokens = [token for segment in segments for token in segment.tokens]
        if not tokens:
            return segments
        encoded = self._encoded(piece, decoded.context)
        path, probabilities = whisper.align(encoded, ticks(until), tokens, wanted.language, options.task)
        times = alignment.times(path, len(tokens), TICK, until)
        spelt = [data for segment in segments for data in whisper.spelling(segment.tokens)]
        heard = itertools.starmap(Heard, zip(spelt, times[:-1], times[1:], probabilities, strict=True))
        stretches = [
            Stretch(segment.start, segment.end, list(itertools.islice(heard, len(segment.tokens)))) for segment in segments
        ]
        if options.logprobs:
            tellings = [alignment.logprobs(stretch.tokens) for stretch in stretches]
            segments = [replace(segment, logprobs=some) for segment, some in zip(segments, tellings, strict=True)]
        if options.words:
            spaced = options.task == "translate" or wanted.language not in UNSPACED
            begin = alignment.onset(self._features(piece)[:, : ticks(until)], FRAMES)
            found = alignment.words(stretches, until, spaced=spaced, begin=begin)
            segments = [_with_words(segment, words) for segment, words in zip(segments, found, strict=True)]
        return segments


def lanes(threads: int) -> int:
    """How many batches share so many threads of a CPU.

    The decoder works through a few vectors at a time and gains nothing from a second thread; the encoder does. Two batches on
    a thread each are faster than one after the other on two, and a short command finds one of them done sooner.
    """
    return threads if threads <= 2 else min(threads // 2, MAX_LANES)


def _again(decoded: Decoded, context: float) -> bool:
    """Whether to take the next rung. Silence is believed when it was heard in the context that Whisper was trained with."""
    return (decoded.doubtful or decoded.silent) and not (decoded.silent and context == FULL)


def _with_words(segment: Segment, words: list[Word]) -> Segment:
    """As in Whisper, a segment begins with its first word and ends with its last."""
    return replace(segment, words=words, start=words[0].start, end=words[-1].end) if words else replace(segment, words=[])


def _moved(segment: Segment, offset: float) -> Segment:
    """The segment with `offset` seconds added to its times."""
    if not offset:
        return segment
    words = segment.words and [replace(word, start=word.start + offset, end=word.end + offset) for word in segment.words]
    return replace(segment, start=segment.start + offset, end=segment.end + offset, words=words)

"""The engine for CPUs: Whisper in CTranslate2 form.

faster-whisper loads the model, makes the features and the prompts. The decoding itself is ours, because its own always hands
the encoder 30 s: here the encoder is given the speech and a margin, which for a short command is a third of the work. See
docs/speed.md for what that costs and gains.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..speech.transcript import Segment, WindowResult
from ..speech.waveform import RATE, Samples
from .decoding import Decoded, Part, best, parts
from .engine import Capabilities, ModelConfig, Options

# Whisper's own ladder: https://github.com/openai/whisper, transcribe(), `temperature`.
LADDER = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
# Samples at a temperature above 0, of which the likeliest is taken: as Whisper's `best_of`.
BEST_OF = 5
FRAMES = 100
"""Of features, a second."""
FULL = 30.0
"""Seconds that Whisper was trained with."""
BATCH = 8
# The decoder's memory of the encoder's output is 1.2 MB a second for base, and 16 MB for large.
BATCH_SECONDS = 72.0
# Windows of one decoding are made equally long by padding; more than this of it is not worth having them together.
STRETCH = 1.5
# Sound at the end of a window, in seconds, that the decoder has left unheard when there is speech in it.
UNHEARD = 2.0
# Tokens that even the fastest speech does not exceed, where a script needs several for a letter: a loop ends there.
TOKENS_PER_SECOND, LEAST_TOKENS = 40, 64
MAX_LANES = 4

Features = NDArray[np.float32]


@dataclass(frozen=True)
class _Piece:
    """A window, or what is left of it: `offset` is the first sample in the window."""

    window: int
    offset: int
    samples: Samples

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE


@dataclass(frozen=True)
class _Asked:
    """What is wanted of one run of the decoder."""

    context: float
    temperature: float
    language: str
    options: Options
    seconds: float
    """Of the longest window."""


class CTranslate2Engine:
    """Takes windows of up to 30 s, several at once, and several such batches at the same time."""

    def __init__(self) -> None:
        self._model: Any = None
        self._config = ModelConfig(Path(), "int8", 0)
        self._lanes = 1
        self._languages: list[str] = []
        self._tokenizers: dict[str, tuple[Any, Sequence[int]]] = {}

    @property
    def capabilities(self) -> Capabilities:
        """What the loaded model can do."""
        return Capabilities(
            window_seconds=FULL,
            batch=self._config.batch or BATCH,
            lanes=self._lanes,
            express=True,
            languages=self._languages,
            detects_language=bool(self._model.model.is_multilingual),
            translates=False,
            prompts=True,
            hotwords=False,
            temperature=True,
            words=False,
            logprobs=False,
            unavailable=[],
        )

    def load(self, config: ModelConfig) -> None:
        """Load the folder's model. Never reaches for the network: faster-whisper would, for a name that is not a folder."""
        # Imported here, because it takes a second and the process is to answer at once.
        from faster_whisper import WhisperModel

        if not config.path.is_dir():
            raise FileNotFoundError(f"{config.path} is not a folder")
        threads = config.threads or len(os.sched_getaffinity(0))
        self._config = config
        self._lanes = lanes(threads)
        self._model = WhisperModel(
            str(config.path),
            device="cpu",
            compute_type=config.compute_type,
            cpu_threads=max(threads // self._lanes, 1),
            # One more, for the express: it shares the model's weights with the others.
            num_workers=self._lanes + 1,
            local_files_only=True,
        )

        # faster-whisper names every language that any Whisper knows.
        known = self._model.hf_tokenizer.token_to_id
        multilingual = self._model.model.is_multilingual
        codes = self._model.supported_languages
        self._languages = [code for code in codes if known(f"<|{code}|>") is not None] if multilingual else ["en"]

    def transcribe(self, batch: list[Samples], options: Options) -> list[WindowResult]:
        """Transcribe windows, each of shape (samples,) and of 30 s at most. May be called from several threads at once."""
        languages = [options.language or self._detect(samples) for samples in batch]
        segments: list[list[Segment]] = [[] for _ in batch]
        fallbacks = [0] * len(batch)
        pieces = [_Piece(window, 0, samples) for window, samples in enumerate(batch)]
        while pieces:
            left: list[_Piece] = []
            for language, group in self._groups(pieces, languages):
                for piece, (decoded, again) in zip(group, self._decode(group, language, options), strict=True):
                    fallbacks[piece.window] += again
                    # A rest in which there is nothing to be understood is breath or noise, and what is said of it invented.
                    if decoded.silent or (piece.offset and decoded.doubtful):
                        continue
                    found, heard = parts(decoded.tokens, self._timestamp_begin, piece.seconds, decoded.finished)
                    segments[piece.window] += self._segments(piece, found, decoded, language)
                    rest = round(heard * RATE)
                    if rest and piece.seconds - heard > UNHEARD:
                        left.append(_Piece(piece.window, piece.offset + rest, piece.samples[rest:]))
            pieces = left
        return [WindowResult(*result) for result in zip(segments, languages, fallbacks, strict=True)]

    def close(self) -> None:
        """Drop the model."""
        self._model = None

    @property
    def _timestamp_begin(self) -> int:
        return int(self._tokenizer("en")[0].timestamp_begin)

    def _groups(self, pieces: Sequence[_Piece], languages: Sequence[str]) -> list[tuple[str, list[_Piece]]]:
        """Put pieces together that are decoded at once: of one language, of about one length, not too much of them."""
        groups: list[tuple[str, list[_Piece]]] = []
        for piece in sorted(pieces, key=lambda piece: (languages[piece.window], -piece.seconds)):
            language, context = languages[piece.window], self._context(piece)
            if groups and groups[-1][0] == language:
                group = groups[-1][1]
                # The first is the longest, to whose length the others are padded.
                longest = self._context(group[0])
                if longest <= STRETCH * context and longest * (len(group) + 1) <= BATCH_SECONDS:
                    group.append(piece)
                    continue
            groups.append((language, [piece]))
        return groups

    def _context(self, piece: _Piece) -> float:
        """Seconds that the encoder is given for a piece."""
        return min(max(piece.seconds + self._config.margin_seconds, self._config.least_seconds), FULL)

    def _decode(self, group: Sequence[_Piece], language: str, options: Options) -> list[tuple[Decoded, int]]:
        """Decode pieces, those that look wrong again and again; with each, how often it was decoded again."""
        temperatures = LADDER if options.temperature == 0 else (options.temperature,)
        cut = max(self._context(piece) for piece in group)
        rungs = [(FULL, temperature) for temperature in temperatures]
        if cut < FULL:
            rungs.insert(0, (cut, temperatures[0]))
        features = [self._features(piece.samples) for piece in group]
        tries: list[list[Decoded]] = [[] for _ in group]
        before = 0.0
        for context, temperature in rungs:
            todo = [i for i, tried in enumerate(tries) if not tried or _again(tried[-1], before)]
            before = context
            # What is to be tried again is rare, and in full context it takes more memory.
            size = max(int(BATCH_SECONDS // context), 1)
            for some in (todo[at : at + size] for at in range(0, len(todo), size)):
                asked = _Asked(context, temperature, language, options, max(group[i].seconds for i in some))
                for i, decoded in zip(some, self._generate([features[i] for i in some], asked), strict=True):
                    tries[i].append(decoded)
        return [(_chosen(tried), len(tried) - 1) for tried in tries]

    def _generate(self, features: Sequence[Features], asked: _Asked) -> list[Decoded]:
        """Encode and decode windows in one context."""
        tokenizer, suppressed = self._tokenizer(asked.language)
        previous = tokenizer.encode(f" {asked.options.prompt.strip()}") if asked.options.prompt else []
        prompt = self._model.get_prompt(tokenizer, previous)
        # CTranslate2 makes no more than half of max_length, and no more than the prompt leaves of it (whisper.cc, as Whisper's sample_len).
        most = min(self._model.max_length // 2, self._model.max_length - len(prompt))
        longest = min(max(int(asked.seconds * TOKENS_PER_SECOND), LEAST_TOKENS), most)
        if asked.temperature:
            search = {"beam_size": 1, "num_hypotheses": BEST_OF, "sampling_topk": 0, "sampling_temperature": asked.temperature}
        else:
            search = {"beam_size": asked.options.beam}
        results = self._model.model.generate(
            self._encode(features, asked.context),
            [prompt] * len(features),
            max_length=max(2 * longest, len(prompt) + longest),
            return_scores=True,
            return_no_speech_prob=True,
            suppress_blank=True,
            suppress_tokens=suppressed,
            **search,
        )
        return [
            Decoded(
                tokens=(tokens := result.sequences_ids[0]),
                text=tokenizer.decode(tokens).strip(),
                temperature=asked.temperature,
                # The score is the mean over the tokens; Whisper's counts the end's token too.
                avg_logprob=result.scores[0] * len(tokens) / (len(tokens) + 1),
                no_speech_prob=result.no_speech_prob,
                finished=len(tokens) < longest,
            )
            for result in results
        ]

    def _encode(self, features: Sequence[Features], context: float) -> Any:
        """The encoder's output for windows, padded with silence to `context` seconds: shape (windows, context * 50, width)."""
        import ctranslate2

        # One after the other: together they would leave the processor's caches, and take their memory all at once.
        outputs = [
            np.asarray(self._model.model.encode(ctranslate2.StorageView.from_array(_padded(one, round(context * FRAMES))[None])))
            for one in features
        ]
        return ctranslate2.StorageView.from_array(np.concatenate(outputs) if len(outputs) > 1 else outputs[0])

    def _features(self, samples: Samples) -> Features:
        """The log-mel spectrogram, of shape (mels, frames), as faster-whisper makes it."""
        features: Features = self._model.feature_extractor(samples)
        return features[:, : min(len(samples) * FRAMES // RATE + 1, round(FULL * FRAMES))]

    def _detect(self, samples: Samples) -> str:
        """The language of a window, as an ISO 639-1 code."""
        if not self._model.model.is_multilingual:
            return "en"
        context = self._context(_Piece(0, 0, samples))
        token: str = self._model.model.detect_language(self._encode([self._features(samples)], context))[0][0][0]
        return token.strip("<|>")

    def _tokenizer(self, language: str) -> tuple[Any, Sequence[int]]:
        """The tokenizer of a language, and the tokens that are never to be said: those of no speech, and the control ones."""
        from faster_whisper.tokenizer import Tokenizer
        from faster_whisper.transcribe import get_suppressed_tokens

        if language not in self._tokenizers:
            multilingual = self._model.model.is_multilingual
            tokenizer = Tokenizer(self._model.hf_tokenizer, multilingual, task="transcribe", language=language)
            self._tokenizers[language] = tokenizer, get_suppressed_tokens(tokenizer, [-1])
        return self._tokenizers[language]

    def _segments(self, piece: _Piece, found: Sequence[Part], decoded: Decoded, language: str) -> list[Segment]:
        tokenizer, _ = self._tokenizer(language)
        offset = piece.offset / RATE
        return [
            Segment(
                start=offset + part.start,
                end=offset + part.end,
                text=text,
                tokens=part.tokens,
                temperature=decoded.temperature,
                avg_logprob=decoded.avg_logprob,
                compression_ratio=decoded.compression_ratio,
                no_speech_prob=decoded.no_speech_prob,
                seek=round(offset * FRAMES),
            )
            for part in found
            if (text := tokenizer.decode(part.tokens)).strip()
        ]


def lanes(threads: int) -> int:
    """How many batches share so many threads.

    The decoder works through a few vectors at a time and gains nothing from a second thread; the encoder does. Two batches on
    a thread each are faster than one after the other on two, and a short command finds one of them done sooner.
    """
    return threads if threads <= 2 else min(threads // 2, MAX_LANES)


def _again(decoded: Decoded, context: float) -> bool:
    """Whether to take the next rung. Silence is believed when it was heard in the context that Whisper was trained with."""
    return decoded.doubtful and not (decoded.silent and context == FULL)


def _chosen(tries: Sequence[Decoded]) -> Decoded:
    """The last try when it is good, or heard silence in full context; else the best of them all."""
    return best(tries) if tries[-1].doubtful and not tries[-1].silent else tries[-1]


def _padded(features: Features, frames: int) -> Features:
    """Features with silence behind them, which is what Whisper's are for samples of 0: 8 decades below the loudest, over 4."""
    missing = max(frames - features.shape[1], 0)
    padded = np.pad(features[:, :frames], ((0, 0), (0, missing)), constant_values=features.max() - 2)
    return np.ascontiguousarray(padded, np.float32)

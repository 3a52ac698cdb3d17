"""The Whisper model itself, as faster-whisper loads it and CTranslate2 runs it: encode, decode, align."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..speech.waveform import RATE, Samples
from . import spelling
from .decoding import TICK, Decoded
from .trouble import Trouble

# Samples at a temperature above 0, of which the likeliest is taken: as Whisper's `best_of`.
BEST_OF = 5
FRAMES = 100
"""Of features, a second."""
FULL = 30.0
"""Seconds that Whisper was trained with."""
# Tokens that even the fastest speech does not exceed, where a script needs several for a letter: a loop ends there.
TOKENS_PER_SECOND, LEAST_TOKENS = 40, 64
# Mel bands of large-v3, and the layers of a decoder that was made by cutting that one down, for transcriptions only.
LARGE_MELS, FEW_LAYERS = 128, 4

Features = NDArray[np.float32]
Encoded = NDArray[np.float32]
"""The encoder's output for one window: shape (1, seconds * 50, width)."""
Task = Literal["transcribe", "translate"]


@dataclass(frozen=True)
class Asked:
    """What is wanted of one run of the decoder."""

    language: str
    task: Task
    previous: Sequence[int]
    """Tokens that steer it, as `Whisper.previous` gives them."""
    beam: int
    temperature: float
    seconds: float
    """Of the longest window."""
    context: float
    """Seconds that the encoder was given."""


class Whisper:
    """A loaded model. Its methods may be called from several threads at once."""

    def __init__(self, path: Path, compute_type: str, threads: int, workers: int, *, device: str = "cpu", index: int = 0) -> None:
        """Load the model in a folder, for `workers` callers at a time of so many threads each.

        `device` is "cpu" or "cuda", `index` which of several GPUs.

        Never reaches for the network: faster-whisper would, for a name that is not a folder. Raises FileNotFoundError.
        """
        # Imported here, because it takes a second and the process is to answer at once.
        from faster_whisper import WhisperModel

        if not path.is_dir():
            raise FileNotFoundError(f"{path} is not a folder")
        self._model: Any = WhisperModel(
            str(path),
            device=device,
            device_index=index,
            compute_type=compute_type,
            cpu_threads=threads,
            num_workers=workers,
            local_files_only=True,
        )
        self._tokenizers: dict[tuple[str, Task], tuple[Any, Sequence[int]]] = {}
        self._heads = _alignment_heads(path)
        self.multilingual = bool(self._model.model.is_multilingual)
        # faster-whisper names every language that any Whisper knows.
        known = self._model.hf_tokenizer.token_to_id
        codes = self._model.supported_languages
        self.languages = [code for code in codes if known(f"<|{code}|>") is not None] if self.multilingual else ["en"]
        self.timestamp_begin = int(self._tokenizer("en", "transcribe")[0].timestamp_begin)
        self._end = int(self._tokenizer("en", "transcribe")[0].eot)

    @property
    def compute_type(self) -> str:
        """The number format that it computes in: for "auto" and "default" the one that was taken."""
        return str(self._model.model.compute_type)

    @property
    def aligns(self) -> bool:
        """Whether it knows which of its attention heads follow the sound."""
        return bool(self._heads)

    @property
    def translates(self) -> bool:
        """Whether it was trained to: turbo and its like have lost it, and would transcribe."""
        cut_down = self._model.model.n_mels == LARGE_MELS and bool(self._heads) and max(self._heads) < FEW_LAYERS
        return self.multilingual and not cut_down

    def features(self, samples: Samples) -> Features:
        """The log-mel spectrogram, of shape (mels, frames), as faster-whisper makes it."""
        features: Features = self._model.feature_extractor(samples)
        return features[:, : min(len(samples) * FRAMES // RATE + 1, round(FULL * FRAMES))]

    def encode(self, features: Features, context: float) -> Encoded:
        """Encode one window, padded with silence to `context` seconds."""
        import ctranslate2

        view = ctranslate2.StorageView.from_array(padded(features, round(context * FRAMES))[None])
        # numpy sees no memory of a GPU; where the model is on the CPU, nothing is copied for it.
        encoded = self._model.model.encode(view, to_cpu=True)
        # Nor has it that format. CTranslate2 brings what it is handed back into the one that it computes in.
        if encoded.dtype == ctranslate2.DataType.bfloat16:
            encoded = encoded.to(ctranslate2.DataType.float32)
        return np.asarray(encoded)

    def detect(self, encoded: Encoded) -> str:
        """The language of a window, as an ISO 639-1 code."""
        if not self.multilingual:
            return "en"
        token: str = self._model.model.detect_language(_view([encoded]))[0][0][0]
        return token.strip("<|>")

    def previous(self, prompt: str | None, hotwords: str | None) -> list[int]:
        """What the decoder takes for the text before: the hotwords, then the prompt, of which the end counts.

        No more than half of what the decoder holds in all, so that as much is left for the answer; of that the hotwords have
        half when there is a prompt too. Control tokens that a text spells are left out.
        """
        room = self._model.max_length // 2 - 1
        expected, before = self._text(hotwords), self._text(prompt)
        kept = expected[: room // 2 if before else room]
        return kept + before[-(room - len(kept)) :]

    def generate(self, encoded: Sequence[Encoded], asked: Asked) -> list[Decoded]:
        """Decode windows that were encoded in one context."""
        tokenizer, suppressed = self._tokenizer(asked.language, asked.task)
        previous = [tokenizer.sot_prev, *asked.previous] if asked.previous else []
        prompt = [*previous, *tokenizer.sot_sequence]
        # CTranslate2 makes no more than half of max_length, and no more than the prompt leaves of it (whisper.cc, as Whisper's sample_len).
        most = min(self._model.max_length // 2, self._model.max_length - len(prompt))
        longest = min(max(int(asked.seconds * TOKENS_PER_SECOND), LEAST_TOKENS), most)
        if asked.temperature:
            search = {"beam_size": 1, "num_hypotheses": BEST_OF, "sampling_topk": 0, "sampling_temperature": asked.temperature}
        else:
            search = {"beam_size": asked.beam}
        results = self._model.model.generate(
            _view(encoded),
            [prompt] * len(encoded),
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
                text=self.text(tokens).strip(),
                temperature=asked.temperature,
                # The score is the mean over the tokens; Whisper's counts the end's token too.
                avg_logprob=result.scores[0] * len(tokens) / (len(tokens) + 1),
                no_speech_prob=result.no_speech_prob,
                finished=len(tokens) < longest,
                context=asked.context,
            )
            for result in results
        ]

    def align(
        self, encoded: Encoded, frames: int, tokens: Sequence[int], language: str, task: Task
    ) -> tuple[list[tuple[int, int]], list[float]]:
        """Where in a window each of the text's tokens was heard, and how probable each is after those before it.

        `frames` of the window are sound. The first is a path: pairs of a token's number (that of the end's token too) and a tick
        of 20 ms. The probabilities are the model's own, among all text tokens, without timestamps and without what came before
        the window: those of the decoding itself are of the paths that the search took, and CTranslate2 does not give them.
        """
        tokenizer, _ = self._tokenizer(language, task)
        # One window at a time: in a batch, CTranslate2 scales the attention over the padding of shorter texts too.
        (result,) = self._model.model.align(_view([encoded]), tokenizer.sot_sequence, [list(tokens)], frames)
        return result.alignments, result.text_token_probs

    def text(self, tokens: Sequence[int]) -> str:
        """What tokens spell, without those of timestamps."""
        return b"".join(self.spelling(tokens)).decode(errors="replace")

    def spelling(self, tokens: Sequence[int]) -> list[bytes]:
        """The bytes of each token, which together are UTF-8: none for those of timestamps."""
        letters = self._model.hf_tokenizer.id_to_token
        return spelling.mended([spelling.raw(letters(token) or "") if token < self._end else b"" for token in tokens])

    def _text(self, text: str | None) -> list[int]:
        """The tokens of a text that somebody wrote."""
        if not text or not text.strip():
            return []
        tokenizer, _ = self._tokenizer("en", "transcribe")
        return [token for token in tokenizer.encode(f" {text.strip()}") if token < self._end]

    def _tokenizer(self, language: str, task: Task) -> tuple[Any, Sequence[int]]:
        """The tokenizer of a language, and the tokens that are never to be said: those of no speech, and the control ones."""
        from faster_whisper.tokenizer import Tokenizer
        from faster_whisper.transcribe import get_suppressed_tokens

        if (language, task) not in self._tokenizers:
            tokenizer = Tokenizer(self._model.hf_tokenizer, self.multilingual, task=task, language=language)
            self._tokenizers[language, task] = tokenizer, get_suppressed_tokens(tokenizer, [-1])
        return self._tokenizers[language, task]


def check_compute_type(wanted: str, device: str, index: int = 0) -> None:
    """Raise Trouble when a device, "cpu" or "cuda", does not compute in that number format: CTranslate2 does not say what it could do instead."""
    import ctranslate2

    known = ctranslate2.get_supported_compute_types(device, index)
    if wanted in ("auto", "default") or wanted in known:
        return
    what = "The GPU" if device == "cuda" else "This processor"
    raise Trouble(
        f"{what} does not compute in {wanted} (model.compute_type). It does in {', '.join(sorted(known))}: take one of them, or auto."
    )


def ticks(seconds: float) -> int:
    """Frames of features in so many seconds, that are whole ticks of the encoder's output."""
    return 2 * round(seconds / TICK)


def padded(features: Features, frames: int) -> Features:
    """Features with silence behind them, which is what Whisper's are for samples of 0: 8 decades below the loudest, over 4."""
    missing = max(frames - features.shape[1], 0)
    filled = np.pad(features[:, :frames], ((0, 0), (0, missing)), constant_values=features.max() - 2)
    return np.ascontiguousarray(filled, np.float32)


def _view(encoded: Sequence[Encoded]) -> Any:
    import ctranslate2

    # Encoded one after the other: together they would leave the processor's caches, and take their memory all at once.
    return ctranslate2.StorageView.from_array(np.concatenate(encoded) if len(encoded) > 1 else encoded[0])


def _alignment_heads(path: Path) -> list[int]:
    """The decoder's layers that have heads which follow the sound, as the model's configuration names them."""
    try:
        heads = json.loads((path / "config.json").read_text(encoding="utf-8")).get("alignment_heads", [])
    except (OSError, ValueError):
        return []
    return [layer for layer, _ in heads]

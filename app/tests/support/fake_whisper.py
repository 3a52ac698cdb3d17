"""Whisper as faster-whisper and CTranslate2 have it, without a model: it hears what a test wants."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import ctranslate2
import faster_whisper
import numpy as np
from faster_whisper import tokenizer, transcribe
from faster_whisper.feature_extractor import FeatureExtractor

from hailo_whisper.engines.spelling import alphabet
from hailo_whisper.speech.waveform import RATE, Samples

BEGIN = 1000
Patch = Callable[[Any, str, Any], None]
"""As `setattr`, or pytest's that takes it back."""


def result(text: str = "yes", logprob: float = -0.2, no_speech: float = 0.0, until: float | None = None) -> Any:
    """What CTranslate2 gives: the letters are the tokens."""
    tokens = [BEGIN, *map(ord, text), *([BEGIN + round(until / 0.02)] if until is not None else [])]
    return SimpleNamespace(
        sequences_ids=[tokens], scores=[logprob * (len(tokens) + 1) / max(len(tokens), 1)], no_speech_prob=no_speech
    )


def sound(seconds: float) -> Samples:
    """A tone, for which it needs no ear."""
    return np.sin(np.arange(round(seconds * RATE), dtype=np.float32) / 5) * np.float32(0.3)


class FakeWhisper:
    """CTranslate2's model: remembers what it was asked, and answers what the test wants."""

    n_mels = 80
    compute_type = "int8_float32"

    def __init__(self) -> None:
        self.is_multilingual = True
        self.contexts: list[int] = []
        self.asked: list[dict[str, Any]] = []
        self.aligned: list[dict[str, Any]] = []
        self.answer: Callable[[int, dict[str, Any]], Any] = lambda _, asked: result()

    def encode(self, features: Any, *, to_cpu: bool) -> Any:
        assert to_cpu, "numpy sees no memory of a GPU"
        self.contexts.append(features.shape[2])
        # The first feature goes through, so that a decoding can be told from another.
        return np.full((1, features.shape[2] // 2, 4), np.asarray(features)[0, 0, 0], np.float32)

    def generate(self, encoded: Any, prompts: list[list[int]], **asked: Any) -> list[Any]:
        self.asked.append({"shape": tuple(encoded.shape), "prompts": prompts, **asked})
        return [self.answer(i, self.asked[-1]) for i in range(len(prompts))]

    def align(self, encoded: Any, start: list[int], texts: list[list[int]], frames: int) -> list[Any]:
        """Each token is heard for 0.2 s, as long as there is sound."""
        self.aligned.append({"shape": tuple(encoded.shape), "start": start, "frames": frames})
        assert len(texts) == 1, "CTranslate2 is right about one at a time"
        path = [(token, min(10 * token, frames // 2 - 1)) for token in range(len(texts[0]) + 1)]
        return [SimpleNamespace(alignments=path, text_token_probs=[0.5] * len(texts[0]))]

    def detect_language(self, encoded: Any) -> Any:
        return [[("<|de|>", 0.9), ("<|en|>", 0.1)]]


class FakeModel:
    """faster-whisper's model."""

    max_length = 448
    hf_tokenizer = SimpleNamespace(
        token_to_id={"<|en|>": 1, "<|de|>": 2}.get, id_to_token={byte: letter for letter, byte in alphabet().items()}.get
    )
    # As faster-whisper has it: also what this model has no token for.
    supported_languages = ("en", "de", "yue")

    def __init__(self, path: str, **how: Any) -> None:
        self.path, self.how = path, how
        self.model = FakeWhisper()
        self.feature_extractor = FeatureExtractor()


class FakeTokenizer:
    """The prompt of a language and a task is one letter of each."""

    timestamp_begin = BEGIN
    eot = 999
    sot_prev = 900

    def __init__(self, _: Any, multilingual: bool, task: str, language: str) -> None:
        self.sot_sequence = [ord(language[0]), *([ord("=")] if task == "translate" else [])]

    def encode(self, text: str) -> list[int]:
        return list(map(ord, text))


def install(patch: Patch, model: type[FakeModel] = FakeModel) -> None:
    """Have the engine of this process find these in the place of the libraries' own."""
    patch(faster_whisper, "WhisperModel", model)
    patch(tokenizer, "Tokenizer", FakeTokenizer)
    patch(transcribe, "get_suppressed_tokens", lambda *_: (7,))
    patch(ctranslate2.StorageView, "from_array", staticmethod(lambda array: array))

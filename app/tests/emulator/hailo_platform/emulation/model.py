"""Whisper on the CPU in the place of the network on the device. Runs in a process of its own: `python -m ... FOLDER`.

As on the device: windows of 10 s, greedy, and no more than half of the decoder's 64 tokens in each pass.
"""

import ctypes
import json
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hailo_platform.emulation.segments import Segment, segments
from hailo_platform.emulation.wire import LENGTH, RATE

HOP = 160
CHUNK_SECONDS = 10
FRAMES = CHUNK_SECONDS * RATE // HOP
SEQUENCE = 64
FULL_SEQUENCE = 448
FIRST_STAMP = 50


class Model:
    def __init__(self, folder: str) -> None:
        import ctranslate2
        import tokenizers
        from faster_whisper.feature_extractor import FeatureExtractor

        self._model: Any = ctranslate2.models.Whisper(folder, device="cpu", compute_type="int8", intra_threads=2)
        self._tokenizer: Any = tokenizers.Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
        self._features: Any = FeatureExtractor(feature_size=self._model.n_mels)
        self._begin = int(self._tokenizer.token_to_id("<|notimestamps|>") or 0) + 1

    def tokenize(self, text: str) -> list[int]:
        tokens: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return tokens

    def hear(
        self, samples: NDArray[np.float32], task: str, language: str | None, penalty: float, *, ideal: bool
    ) -> list[Segment] | None:
        """Transcribe; None when the language is none."""
        padded = np.pad(samples, (0, CHUNK_SECONDS * RATE))
        mel = self._features(padded)
        content = len(samples) // HOP
        seek, found = 0, list[Segment]()
        if language is not None and len(self.tokenize(f"<|{language}|>")) != 1:
            return None
        while seek < content:
            size = min(FRAMES, content - seek)
            chunk = np.zeros((1, mel.shape[0], FRAMES), np.float32)
            chunk[0, :, :size] = mel[:, seek : seek + size]
            tokens, language = self._decode(chunk, task, language, penalty, ideal=ideal)
            made, heard = segments(tokens, self._begin, seek * HOP / RATE, size * HOP / RATE, self._tokenizer.decode, ideal=ideal)
            found += made
            seek += max(round(heard * RATE / HOP), 1)
        return found

    def _decode(
        self, chunk: NDArray[np.float32], task: str, language: str | None, penalty: float, *, ideal: bool
    ) -> tuple[list[int], str | None]:
        import ctranslate2

        encoded = self._model.encode(ctranslate2.StorageView.from_array(chunk))
        prompt = ["<|startoftranscript|>"]
        if self._model.is_multilingual:
            language = language or self._model.detect_language(encoded)[0][0][0].strip("<|>")
            prompt += [f"<|{language}|>", f"<|{task}|>"]
        # CTranslate2 stops after half of what it is told, as Whisper does.
        (result,) = self._model.generate(
            encoded,
            [prompt],
            beam_size=1,
            max_length=FULL_SEQUENCE if ideal else SEQUENCE,
            repetition_penalty=penalty,
            max_initial_timestamp_index=FIRST_STAMP,
        )
        return [int(token) for token in result.sequences_ids[0]], language


def serve(folder: str) -> None:
    """Answer orders: each a JSON object behind its length, with the samples behind it; an answer is a line."""
    # An orphan would go on for nobody.
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    model = Model(folder)
    stream, answer = sys.stdin.buffer, sys.stdout
    print("ready", file=answer, flush=True)
    while header := stream.read(LENGTH.size):
        order = json.loads(stream.read(LENGTH.unpack(header)[0]))
        if "tokenize" in order:
            print(json.dumps(model.tokenize(order["tokenize"])), file=answer, flush=True)
            continue
        samples = np.frombuffer(stream.read(4 * order["length"]), np.float32)
        heard = model.hear(samples, order["task"], order["language"], order["penalty"], ideal=order["ideal"])
        print(json.dumps(heard and [[s.start, s.end, s.text] for s in heard]), file=answer, flush=True)


if __name__ == "__main__":
    serve(sys.argv[1])

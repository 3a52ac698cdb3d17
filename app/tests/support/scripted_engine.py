"""An engine that does as it is told, in the real worker process: what it is to suffer is in the prompt or in the model's folder.

The file `script` in the model's folder holds words that take effect when the model is loaded; the prompt of a request holds
one word and perhaps an argument. Without either, every window is heard as the package's clip. Words are as long as each
other, a token is a word, and a translation begins with "In English:".
"""

import ctypes
import json
import math
import os
import resource
import signal
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from hailo_whisper.engines.engine import Capabilities, ModelConfig, Options
from hailo_whisper.engines.trouble import DeviceTrouble
from hailo_whisper.engines.warm_up import clip_text
from hailo_whisper.speech.transcript import Segment, Token, WindowResult, Word
from hailo_whisper.speech.waveform import RATE, Samples

LANGUAGES = ["en", "de", "ar"]
ABLE = ("translates", "prompts", "hotwords", "temperature", "words", "logprobs")
FOREVER = 600
LITTLE = 256 * 1024 * 1024
"""Bytes that an engine of little memory may take beside what its process has."""


class ScriptedEngine:
    def __init__(self) -> None:
        self._folder = Path()
        self._script: list[str] = []
        self._leaked: list[bytearray] = []

    @property
    def capabilities(self) -> Capabilities:
        seconds = 2.0 if "short-windows" in self._script else 30.0
        return Capabilities(
            window_seconds=seconds,
            batch=4,
            lanes=2 if "two-lanes" in self._script else 1,
            express="express" in self._script,
            languages=LANGUAGES,
            detects_language=True,
            unavailable=["no_speech_prob"],
            **{name: f"without-{name}" not in self._script for name in ABLE},
        )

    def load(self, config: ModelConfig) -> None:
        self._folder = config.path
        script = config.path / "script"
        self._script = script.read_text().split() if script.exists() else []
        if "slow-to-load" in self._script:
            _await(config.path / "go")
        if "little-memory" in self._script:
            resource.setrlimit(resource.RLIMIT_AS, (_address_space() + LITTLE, _address_space() + LITTLE))
        if "hang-at-load" in self._script:
            time.sleep(FOREVER)
        if "crash-at-load" in self._script:
            os.kill(os.getpid(), signal.SIGKILL)
        if "raise-at-load" in self._script:
            raise RuntimeError("the accelerator is on fire")
        if "settings" in self._script:
            values = (
                config.compute_type,
                config.threads,
                config.workers,
                config.batch,
                config.margin_seconds,
                config.least_seconds,
            )
            (config.path / "settings").write_text(" ".join(map(str, values)))

    def transcribe(self, batch: list[Samples], options: Options) -> list[WindowResult]:
        word, _, argument = (options.prompt or "").partition(" ")
        with (self._folder / "batches").open("a") as diary:
            diary.write(f"{word} {len(batch)}\n")
        self._suffer(word, argument, max(map(len, batch)) / RATE)
        if word == "say":
            return [_result(samples, argument, options) for samples in batch]
        if word == "options":
            return [_result(samples, f"{options.beam} {options.temperature}", options) for samples in batch]
        if word == "asked":
            asked = {name: value for name, value in asdict(options).items() if name != "prompt"}
            return [_result(samples, json.dumps(asked), options) for samples in batch]
        if word == "bytes":
            return [_in_bytes(_result(samples, argument, options)) for samples in batch]
        if not word and "mishear" in self._script:
            return [_result(samples, "something else entirely", options) for samples in batch]
        if word == "nonsense":
            return _nonsense(argument, [_result(samples, "rubbish", options) for samples in batch])
        if word in ("each", "crash-over", "raise-over", "hang-over", "wait-over"):
            return [_result(samples, f"{len(samples) / RATE:.2f}", options) for samples in batch]
        return [_result(samples, clip_text(), options) for samples in batch]

    def _suffer(self, word: str, argument: str, longest: float) -> None:
        """`longest` is the longest window of the batch, in seconds."""
        match word:
            case "crash-over" if longest > float(argument):
                os.kill(os.getpid(), signal.SIGKILL)
            case "raise-over" if longest > float(argument):
                raise RuntimeError("too long for me")
            case "hang-over" if longest > float(argument):
                time.sleep(FOREVER)
            case "wait-over" if longest > float(argument):
                (self._folder / "waiting").touch()
                _await(self._folder / "go")
            case "leak":
                self._leaked.append(bytearray(int(argument) * 1024 * 1024))
            case "hang":
                time.sleep(FOREVER)
            case "hold-the-gil":
                # PyDLL, unlike CDLL, keeps the GIL during the call.
                ctypes.PyDLL(None).sleep(FOREVER)
            case "crash":
                os.kill(os.getpid(), signal.SIGKILL)
            case "crash-once" if not (self._folder / "crashed").exists():
                (self._folder / "crashed").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            case "lose-the-device":
                raise DeviceTrouble("The device is gone.")
            case "raise":
                raise RuntimeError("out of luck")
            case "wait":
                (self._folder / "waiting").touch()
                _await(self._folder / argument)

    def close(self) -> None:
        pass


def _await(path: Path) -> None:
    end = time.monotonic() + FOREVER
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.01)


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def _nonsense(kind: str, results: list[WindowResult]) -> list[WindowResult]:
    segment = results[0].segments[0]
    wrong_type: Any = 7
    wrong: dict[str, list[Any]] = {
        "nothing": [],
        "too-much": [*results, *results],
        "nan": [replace(results[0], segments=[replace(segment, start=float("nan"))])],
        "score": [replace(results[0], segments=[replace(segment, avg_logprob=float("inf"))])],
        "outside": [replace(results[0], segments=[replace(segment, end=1e6)])],
        "backwards": [replace(results[0], segments=[replace(segment, start=2.0, end=1.0)])],
        "text": [replace(results[0], segments=[replace(segment, text=wrong_type)])],
        "language": [replace(results[0], language=wrong_type)],
        "words": [replace(results[0], segments=[replace(segment, words=[Word(2.0, 1.0, "rubbish", 0.5)])])],
        "logprobs": [replace(results[0], segments=[replace(segment, logprobs=[Token("rubbish", 1.0, [0])])])],
    }
    return wrong[kind]


def _result(samples: Samples, text: str, options: Options) -> WindowResult:
    if not text:
        return WindowResult([], options.language or "de")
    if options.task == "translate":
        text = f"In English: {text}"
    seconds = len(samples) / RATE
    segment = Segment(
        start=0.0,
        end=seconds,
        text=f" {text}",
        tokens=[1, 2, 3],
        temperature=options.temperature,
        avg_logprob=-0.25,
        compression_ratio=1.5,
        no_speech_prob=None,
        seek=0,
        words=_words(text, seconds) if options.words else None,
        logprobs=[_token(f" {word}".encode()) for word in text.split(" ")] if options.logprobs else None,
    )
    return WindowResult([segment], options.language or "de")


def _words(text: str, seconds: float) -> list[Word]:
    words = text.split()
    step = seconds / len(words)
    return [Word(n * step, (n + 1) * step, word, 0.9) for n, word in enumerate(words)]


def _token(data: bytes) -> Token:
    return Token(data.decode(errors="replace"), math.log(0.9), [*data])


def _in_bytes(result: WindowResult) -> WindowResult:
    """With a token for each byte of the text."""
    segments = [
        replace(segment, logprobs=segment.logprobs and [_token(bytes([byte])) for byte in segment.text.encode()])
        for segment in result.segments
    ]
    return replace(result, segments=segments)

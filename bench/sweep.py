"""How much context the encoder needs: `python -m bench.sweep --models FOLDER` measures the engine in process over a grid of settings.

For each combination of the longest window, the margin of silence after the speech and the least context: word error rates in each
language, over the short clips and over the long file, how much faster than real time, and how often a result looked wrong and was
decoded again. Speech is detected and windows are cut just as in the server. It prints a table in Markdown, which docs/speed.md shows.
"""

import argparse
import importlib
import itertools
import json
import os
import sys
import time
import wave
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hailo_whisper.engines.engine import Engine, ModelConfig, Options
from hailo_whisper.settings import parse
from hailo_whisper.speech import detection
from hailo_whisper.speech.transcript import WindowResult, join
from hailo_whisper.speech.waveform import RATE, Samples
from hailo_whisper.speech.windows import Rules, Span, Window, cut

from .corpus import CACHE, LANGUAGES, Clip, Corpus, CorpusMissing, load, prepare
from .scoring import Score, score

ENGINE = "hailo_whisper.engines.ctranslate2:CTranslate2Engine"
FULL = 30.0


@dataclass(frozen=True)
class Point:
    """One combination of settings, in seconds."""

    longest: float
    margin: float
    least: float

    def __str__(self) -> str:
        """As the first column shows it."""
        context = "full" if self.margin >= FULL else f"{self.margin:g} | {self.least:g}"
        return f"{self.longest:g} | {context}" + (" | full" if context == "full" else "")


@dataclass(frozen=True)
class Measured:
    """What one kind of sound gave at a point."""

    language: str
    kind: str
    """short or long"""
    errors: int
    words: int
    seconds: float
    audio_seconds: float
    p50: float
    """Of the engine's seconds for a recording."""
    windows: int
    fallbacks: int

    @property
    def wer(self) -> float:
        """Word error rate in percent."""
        return Score(self.errors, self.words).percent


@dataclass(frozen=True)
class Sound:
    """A clip, decoded, with the probabilities of speech in it."""

    clip: Clip
    samples: Samples
    probabilities: Any


def main(argv: Sequence[str] | None = None) -> int:
    """Measure every point; Ctrl-C keeps what was measured."""
    args = _arguments(argv)
    try:
        corpus = load(args.corpus) if args.corpus else prepare()
    except CorpusMissing as error:
        print(f"bench.sweep: {error}", file=sys.stderr)
        return 1
    if not (args.models / args.model).is_dir():
        print(f"bench.sweep: there is no model {args.model} in {args.models}: name its folder with --models.", file=sys.stderr)
        return 1
    sounds = {kind: {language: _sounds(corpus, kind, language) for language in args.languages} for kind in args.kinds}
    points = _points(args.longest, args.margin, args.least)
    measured: dict[Point, list[Measured]] = {}
    try:
        for number, point in enumerate(points, 1):
            engine = _engine(args, point)
            measured[point] = []
            for kind, language in itertools.product(args.kinds, args.languages):
                found = _measure(engine, point, sounds[kind][language], kind, Options(language, args.beam))
                measured[point].append(found)
                shown = (
                    f"WER {found.wer:.2f}, {found.audio_seconds / found.seconds:.1f} times real time, {found.fallbacks} fallbacks"
                )
                print(f"{number}/{len(points)}  {point}: {language} {kind}: {shown}", file=sys.stderr, flush=True)
            engine.close()
    except KeyboardInterrupt:
        print("Interrupted: these are the figures until now.", file=sys.stderr)
    if args.out:
        content = [{**asdict(point), "measured": [asdict(item) for item in found]} for point, found in measured.items()]
        args.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(table(measured, args.kinds, args.languages))
    return 0


def table(measured: dict[Point, list[Measured]], kinds: Sequence[str], languages: Sequence[str]) -> str:
    """The figures of every point, a line each."""
    head = ["longest window", "margin", "least"]
    for kind in kinds:
        head += [f"WER {kind} {language}" for language in languages]
        head += ["p50 s" if kind == "short" else "times real time", "decoded again"]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for point, found in measured.items():
        cells = [str(point)]
        for kind in kinds:
            items = [item for item in found if item.kind == kind]
            rates = {item.language: f"{item.wer:.2f}" for item in items}
            cells += [rates.get(language, "") for language in languages]
            # An interrupted sweep has points without figures.
            cells += [_speed(kind, items), str(sum(item.fallbacks for item in items))] if items else ["", ""]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _speed(kind: str, items: Sequence[Measured]) -> str:
    if kind == "short":
        return f"{np.median([item.p50 for item in items]):.3f}"
    return f"{sum(item.audio_seconds for item in items) / sum(item.seconds for item in items):.1f}"


def _points(longest: Iterable[float], margins: Iterable[float], leasts: Iterable[float]) -> list[Point]:
    """The grid. With the full context there is nothing for the least to do."""
    grid = (Point(a, min(b, FULL), FULL if b >= FULL else c) for a, b, c in itertools.product(longest, margins, leasts))
    return list(dict.fromkeys(grid))


def _measure(engine: Engine, point: Point, sounds: Sequence[Sound], kind: str, options: Options) -> Measured:
    pairs: list[tuple[str, str]] = []
    seconds: list[float] = []
    windows_of_all = fallbacks = 0
    for sound in sounds:
        windows = _windows(sound, point, engine)
        began = time.perf_counter()
        results = _transcribe(engine, sound.samples, windows, options)
        seconds.append(time.perf_counter() - began)
        text = join(windows, results, sound.clip.seconds, options.language).text
        pairs.append((sound.clip.text, text))
        windows_of_all += len(windows)
        fallbacks += sum(result.fallbacks for result in results)
    language = options.language or "en"
    result = score(pairs, language)
    audio = sum(sound.clip.seconds for sound in sounds)
    p50 = float(np.median(seconds))
    return Measured(language, kind, result.errors, result.words, sum(seconds), audio, p50, windows_of_all, fallbacks)


def _transcribe(engine: Engine, samples: Samples, windows: Sequence[Window], options: Options) -> list[WindowResult]:
    """As the scheduler does when it has one recording: in its order, in batches of half of what the engine takes, a thread for each of its lanes."""
    lanes, size = engine.capabilities.lanes, max(engine.capabilities.batch // 2, 1)
    parts = [samples[window.start : window.end] for window in windows]
    batches = [parts[first : first + size] for first in range(0, len(parts), size)]
    with ThreadPoolExecutor(lanes) as threads:
        return list(itertools.chain.from_iterable(threads.map(lambda batch: engine.transcribe(batch, options), batches)))


def _windows(sound: Sound, point: Point, engine: Engine) -> list[Window]:
    settings = parse({}, "the defaults")
    vad = settings.vad
    longest = min(point.longest, engine.capabilities.window_seconds)
    pad = min(vad.speech_pad_ms / 1000, longest / 4)
    what = detection.Detection(vad.threshold, vad.min_speech_ms / 1000, vad.min_silence_ms / 1000)
    speech: list[Span] = detection.spans(sound.probabilities, len(sound.samples), what, longest - 2 * pad)
    return cut(speech, len(sound.samples), Rules(longest, settings.windows.longest_pause_seconds, pad))


def _sounds(corpus: Corpus, kind: str, language: str) -> list[Sound]:
    clips = corpus.short[language] if kind == "short" else [corpus.long[language]]
    return [Sound(clip, samples, detection.probabilities(samples)) for clip in clips for samples in [_samples(clip.path)]]


def _samples(path: Path) -> Samples:
    with wave.open(str(path)) as file:
        if file.getframerate() != RATE:
            raise ValueError(f"{path} has {file.getframerate()} samples a second, and the corpus is to have {RATE}")
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / np.float32(32768)


def _engine(args: argparse.Namespace, point: Point) -> Engine:
    module, _, name = args.engine.partition(":")
    engine: Engine = getattr(importlib.import_module(module), name)()
    engine.load(
        ModelConfig(
            path=args.models / args.model,
            compute_type=args.compute_type,
            threads=args.threads,
            batch=args.batch,
            margin_seconds=point.margin,
            least_seconds=point.least,
        )
    )
    # The first call of all finds cold caches.
    engine.transcribe([np.zeros(RATE, np.float32)], Options("en", args.beam))
    return engine


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.sweep", description=__doc__, allow_abbrev=False)
    numbers, words = _list(float), _list(str)
    parser.add_argument(
        "--longest", type=numbers, default=[15, 30], metavar="A,B", help="windows.longest_seconds (default: 15,30)"
    )
    parser.add_argument(
        "--margin",
        type=numbers,
        default=[1, 3, 5, FULL],
        metavar="A,B",
        help="windows.margin_seconds (default: 1,3,5,30; 30: full)",
    )
    parser.add_argument("--least", type=numbers, default=[5, 10], metavar="A,B", help="windows.least_seconds (default: 5,10)")
    parser.add_argument("--languages", type=words, default=list(LANGUAGES), metavar="A,B", help="default: en,es,fr")
    parser.add_argument(
        "--kinds", type=words, default=["short", "long"], metavar="A,B", help="short clips, long files (default: short,long)"
    )
    parser.add_argument("--model", default="base", help="name of the model (default: base)")
    parser.add_argument("--models", type=Path, default=CACHE.parent / "models", metavar="FOLDER", help="default: %(default)s")
    parser.add_argument("--corpus", type=Path, metavar="FOLDER", help="clips of your own: a folder with a manifest.json")
    parser.add_argument("--beam", type=int, default=5, help="default: 5")
    parser.add_argument("--batch", type=int, default=0, help="windows at once (default: what suits the engine)")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="default: one for each core")
    parser.add_argument("--compute-type", default="int8", help="default: int8")
    parser.add_argument("--engine", default=ENGINE, metavar="MODULE:CLASS", help="default: %(default)s")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write every figure there as JSON")
    return parser.parse_args(argv)


def _list(of: Callable[[str], Any]) -> Callable[[str], list[Any]]:
    return lambda text: [of(item) for item in text.split(",") if item]


if __name__ == "__main__":
    sys.exit(main())

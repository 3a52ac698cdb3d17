"""Speech detection: which samples of a waveform are speech. Silero's network gives the probabilities; the rest is arithmetic.

The network runs in the decoder's process, which loads it; the server imports this module for `Detection` only.
"""

import importlib.util
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .waveform import RATE, Samples
from .windows import Span

FRAME = 512
"""Samples that one probability is about: 32 ms."""
# Of the frame before, which the network is given too.
CONTEXT = 64
# How far the probability must fall below the threshold before speech counts as over, and the least that it must fall to.
# Silero's own values: https://github.com/snakers4/silero-vad, get_speech_timestamps().
HYSTERESIS = 0.15
LEAST = 0.01
# Frames that the network is given at once (8 s). More are no faster, and cost memory.
BATCH = 256


@dataclass(frozen=True)
class Detection:
    """What counts as speech."""

    threshold: float
    """Probability from which a frame is speech."""
    min_speech: float
    """Seconds; speech that is shorter is taken for noise."""
    min_silence: float
    """Seconds; a pause that is shorter parts nothing."""


def probabilities(samples: Samples) -> NDArray[np.float32]:
    """The probability of speech in each frame of samples of shape (n,); of shape (ceil(n / 512),)."""
    return stream([samples])


def stream(blocks: Iterable[Samples]) -> NDArray[np.float32]:
    """The same for samples that come in blocks, so that hours of them need little memory."""
    session = network()
    state = np.zeros((2, 1, 1, 128), np.float32)
    context = np.zeros(CONTEXT, np.float32)
    found = [np.zeros(0, np.float32)]
    for frames in _batches(blocks):
        batch = np.empty((len(frames), CONTEXT + FRAME), np.float32)
        batch[:, CONTEXT:] = frames
        batch[0, :CONTEXT] = context
        batch[1:, :CONTEXT] = frames[:-1, -CONTEXT:]
        context = frames[-1, -CONTEXT:].copy()
        output, *state = session.run(None, {"input": batch, "h": state[0], "c": state[1]})
        found.append(output)
    return np.concatenate(found)


def _batches(blocks: Iterable[Samples]) -> Iterator[NDArray[np.float32]]:
    """Frames of shape (up to BATCH, FRAME); the last one of all is filled up with silence."""
    rest = np.zeros(0, np.float32)
    for block in blocks:
        size = BATCH * FRAME
        start = 0
        while len(rest) + len(block) - start >= size:
            taken = size - len(rest)
            yield np.concatenate([rest, block[start : start + taken]]).reshape(-1, FRAME)
            rest = rest[:0]
            start += taken
        rest = np.concatenate([rest, block[start:]])
    if len(rest):
        yield np.pad(rest, (0, -len(rest) % FRAME)).reshape(-1, FRAME)


@cache
def network() -> Any:
    """The network's session in onnxruntime, loaded once."""
    # Since 1.29 it would tell its makers of every session that it opens, over the network, from a thread of its own.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4
    # The package itself is not imported: it would bring CTranslate2 and more along.
    spec = importlib.util.find_spec("faster_whisper")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("faster_whisper, which brings the network of the speech detection, is not installed")
    path = Path(spec.origin).parent / "assets" / "silero_vad_v6.onnx"
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def spans(probabilities: NDArray[np.float32], length: int, detection: Detection, longest: float) -> list[Span]:
    """The speech in a waveform of `length` samples, from the probabilities of its frames, in order and without overlap.

    It is not padded. A span longer than `longest` seconds is split where speech is least probable, and its parts touch.
    """
    found = []
    for first, last in _runs(probabilities, detection):
        span = Span(first * FRAME, min(last * FRAME, length))
        if span.end - span.start >= detection.min_speech * RATE and span.end > span.start:
            found.append(span)
    return split(found, probabilities, longest)


def _runs(probabilities: NDArray[np.float32], detection: Detection) -> Iterator[tuple[int, int]]:
    """Frames `first` to `last` (exclusive) of each stretch of speech."""
    # Never above the threshold: no frame is both speech and silence.
    low = min(max(detection.threshold - HYSTERESIS, LEAST), detection.threshold)
    least = detection.min_silence * RATE / FRAME
    count = len(probabilities)
    starts = np.flatnonzero(probabilities >= detection.threshold)
    silent = np.flatnonzero(probabilities < low)
    at = 0
    while (i := int(np.searchsorted(starts, at))) < len(starts):
        first = int(starts[i])
        at = first
        while True:
            j = int(np.searchsorted(silent, at))
            if j == len(silent):
                yield first, count
                return
            pause = int(silent[j])
            k = int(np.searchsorted(starts, pause))
            back = int(starts[k]) if k < len(starts) else count
            if back - pause >= least:
                yield first, pause
                at = back
                break
            at = back


def split(speech: Iterable[Span], probabilities: NDArray[np.float32], longest: float) -> list[Span]:
    """Split what is longer than `longest` seconds at the frame of its later half where speech is least probable."""
    most = max(int(longest * RATE), FRAME)
    parts = []
    for span in speech:
        start = span.start
        while span.end - start > most:
            first, last = (start + most // 2) // FRAME + 1, (start + most) // FRAME
            # Of several that are as silent the last one, which makes the fewest parts.
            candidates = probabilities[first:last][::-1]
            end = (last - int(candidates.argmin())) * FRAME - FRAME // 2 if len(candidates) else start + most
            parts.append(Span(start, end))
            start = end
        parts.append(Span(start, span.end))
    return parts

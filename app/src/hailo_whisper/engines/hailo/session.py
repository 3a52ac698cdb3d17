"""A model on HailoRT's genai API, of whichever version: what it can do is probed.

Known are 5.1.1, 5.2 and 5.3. None of their calls can be interrupted or time out, and all of them hold the GIL.
"""

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ...models.cure import pulling
from ...speech.waveform import RATE, Samples
from ..trouble import Trouble
from .binding import Binding, Device, dotted, install, spoken

# As long as the one that 5.3 has by default. Up to 5.2 it is ignored; if a later one heeds it, the worker's deadline comes first.
TIMEOUT_MS = 600_000
CHUNK_SECONDS = 10.0
"""Sound that the network takes at a time."""
OLDEST = (5, 1, 1)
WITHOUT = ("hailo8", "hailo8l")
"""Devices that it does not run on."""


@dataclass(frozen=True)
class Heard:
    """A segment as the device gives it; times in seconds."""

    start: float
    end: float
    text: str


class Session:
    """The device with a model on it. After `close` it is of no more use, and the original would crash."""

    def __init__(self, binding: Binding, device: Device, hef: Path) -> None:
        """Load the model. The device is the session's from now on, once this has come back. Raises Trouble."""
        genai = api(binding)
        if device.architecture in WITHOUT:
            raise Trouble(
                f"The device is a {device.architecture.upper()}, and HailoRT's genai API is for the Hailo-10H only. For the encoder and "
                f"the decoder, {pulling(f'whisper-base-{device.architecture}')}, or set engine.kind to ctranslate2."
            )
        with spoken(f"loading {hef.name}"):
            speech = genai.Speech2Text(device.vdevice, str(hef))
        self._device: Device | None = device
        self._speech: Any = speech
        self._task = genai.Speech2TextTask
        names = inspect.signature(speech.generate_all_segments).parameters
        self._detects = names["language"].default is None
        self._penalised = "repetition_penalty" in names

    @property
    def detects_language(self) -> bool:
        """Whether the language may be None: up to 5.1 it is English unless it is named."""
        return self._detects

    def hear(self, samples: Samples, task: Literal["transcribe", "translate"], language: str | None) -> list[Heard]:
        """Transcribe samples of shape (n,). Times may lie beyond their end."""
        # Its own copy: the original reads from the pointer whatever the strides, and refuses memory that is read-only. With real silence after
        # the speech it hears better than with what it fills up with itself, and the network takes as long.
        own = np.zeros(max(len(samples), round(CHUNK_SECONDS * RATE)), np.float32)
        own[: len(samples)] = samples
        more = {"repetition_penalty": 1.0} if self._penalised else {}
        with spoken("transcribing"):
            found = self._speech.generate_all_segments(
                audio_data=own, task=getattr(self._task, task.upper()), language=language, timeout_ms=TIMEOUT_MS, **more
            )
            return [Heard(float(segment.start_sec), float(segment.end_sec), str(segment.text)) for segment in found]

    def tokenize(self, text: str) -> list[int]:
        """The tokens of a text."""
        with spoken("making tokens of a text"):
            return [int(token) for token in self._speech.tokenize(text=text)]

    def close(self) -> None:
        """Give the device back."""
        speech, device, self._speech, self._device = self._speech, self._device, None, None
        if speech is not None:
            speech.release()
        if device is not None:
            device.release()


def api(binding: Binding) -> Any:
    """HailoRT's genai API. Raises Trouble when there is none, or none that is known."""
    genai = binding.part("genai")
    speech = getattr(genai, "Speech2Text", None)
    call = getattr(speech, "generate_all_segments", None)
    names = inspect.signature(call).parameters if call else {}
    if binding.version < OLDEST or not {"audio_data", "task", "language", "timeout_ms"} <= names.keys():
        raise Trouble(
            f"HailoRT {dotted(binding.version)} cannot transcribe in a way that this program knows: 5.1.1 to 5.3 can. {install()}"
        )
    return genai

"""HailoRT's Python package, of whichever version: what it can do is probed, and all that it raises becomes a sentence.

Known are 5.1.1, 5.2 and 5.3. None of their calls can be interrupted or time out, and all of them hold the GIL.
"""

import importlib
import inspect
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ...accelerators.holders import holders
from ...speech.waveform import RATE, Samples
from ..trouble import DeviceBusy, DeviceTrouble, Trouble
from . import errors

log = logging.getLogger(__name__)

# As long as the one that 5.3 has by default. Up to 5.2 it is ignored; if a later one heeds it, the worker's deadline comes first.
TIMEOUT_MS = 600_000
CHUNK_SECONDS = 10.0
"""Sound that the network takes at a time."""
OLDEST = (5, 1, 1)
INSTALL = (
    "Install HailoRT's Python binding of the very version of the driver (python3-h10-hailort on Raspberry Pi OS, or Hailo's wheel) where this "
    "program's Python finds it, or set engine.kind to ctranslate2."
)


@dataclass(frozen=True)
class Heard:
    """A segment as the device gives it; times in seconds."""

    start: float
    end: float
    text: str


class Session:
    """The device with a model on it. After `close` it is of no more use, and the original would crash."""

    def __init__(self, vdevice: Any, speech: Any, task: Any) -> None:
        self._vdevice = vdevice
        self._speech = speech
        self._task = task
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
        with _spoken("transcribing"):
            found = self._speech.generate_all_segments(
                audio_data=own, task=getattr(self._task, task.upper()), language=language, timeout_ms=TIMEOUT_MS, **more
            )
            return [Heard(float(segment.start_sec), float(segment.end_sec), str(segment.text)) for segment in found]

    def tokenize(self, text: str) -> list[int]:
        """The tokens of a text."""
        with _spoken("making tokens of a text"):
            return [int(token) for token in self._speech.tokenize(text=text)]

    def close(self) -> None:
        """Give the device back."""
        speech, vdevice, self._speech, self._vdevice = self._speech, self._vdevice, None, None
        if speech is not None:
            speech.release()
        if vdevice is not None:
            vdevice.release()


class Binding:
    """The installed package. Raises Trouble when there is none, or none that can be used."""

    def __init__(self) -> None:
        # HailoRT would write a log into the folder that it happens to be started in.
        os.environ.setdefault("HAILORT_LOGGER_PATH", "NONE")
        try:
            self._platform: Any = importlib.import_module("hailo_platform")
            self._genai: Any = importlib.import_module("hailo_platform.genai")
        except ModuleNotFoundError as error:
            missing = "is not installed" if error.name == "hailo_platform" else f"lacks {error.name}"
            raise Trouble(f"HailoRT's Python package hailo_platform {missing}. {INSTALL}") from None
        # Whatever it is: it checks its own parts at import, with exceptions of its own.
        except Exception as error:
            raise Trouble(f"HailoRT's Python package cannot be loaded: {error}. {INSTALL}") from None
        self.version = numbers(str(getattr(self._platform, "__version__", "0")))
        self._check()

    def _check(self) -> None:
        speech = getattr(self._genai, "Speech2Text", None)
        call = getattr(speech, "generate_all_segments", None)
        names = inspect.signature(call).parameters if call else {}
        if self.version < OLDEST or not {"audio_data", "task", "language", "timeout_ms"} <= names.keys():
            have = ".".join(map(str, self.version))
            raise Trouble(f"HailoRT {have} cannot transcribe in a way that this program knows: 5.1.1 to 5.3 can. {INSTALL}")

    def open(self, group: str, hef: Path) -> Session:
        """Take the device for a group ("UNIQUE": alone), and load a model. Raises Trouble; DeviceBusy while others have it."""
        with _spoken("looking for a Hailo device"):
            found = self._platform.Device.scan()
        if not found:
            raise DeviceTrouble(
                "No Hailo device was found. See that it is plugged in (`lspci -d 1e60:`), that its driver is loaded (`ls /dev/hailo* /dev/h1x-*`), "
                "and that the service may open it (group `hailo`). It is looked for again every few seconds."
            )
        with _spoken("opening the device"):
            params = self._platform.VDevice.create_params()
            params.group_id = group
            vdevice = self._platform.VDevice(params)
        try:
            check_architecture(vdevice)
            with _spoken(f"loading {hef.name}"):
                speech = self._genai.Speech2Text(vdevice, str(hef))
            return Session(vdevice, speech, self._genai.Speech2TextTask)
        except BaseException:
            vdevice.release()
            raise


def check_architecture(vdevice: Any) -> None:
    """Raise Trouble when the device is one that HailoRT's genai API does not run on; one that does not say is tried."""
    try:
        architecture = str(vdevice.get_physical_devices()[0].control.identify().device_architecture)
    # It only would have given a better message.
    except Exception as error:
        log.warning("the Hailo device does not say what it is: %s", errors.translated(error, "identifying the device"))
        return
    if "HAILO8" in architecture:
        raise Trouble(
            f"The device is a {architecture}, and HailoRT transcribes on the Hailo-10H only. Set engine.kind to ctranslate2."
        )


def numbers(version: str) -> tuple[int, ...]:
    """The numbers of a version such as 5.2.0."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


@contextmanager
def _spoken(doing: str) -> Iterator[None]:
    """What the binding raises, as a sentence."""
    try:
        yield
    except Trouble:
        raise
    except Exception as error:
        found = errors.translated(error, doing)
        if isinstance(found, DeviceBusy):
            found = errors.translated(error, doing, holders())
        if found is error:
            raise
        raise found from error

"""What every engine is: the interface between the worker process and an accelerator."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from ..speech.transcript import WindowResult
from ..speech.waveform import Samples


@dataclass(frozen=True)
class Capabilities:
    """What an engine with its loaded model can do. What it cannot is refused or declared null, never imitated."""

    window_seconds: float
    """The longest window that it takes, in seconds."""
    batch: int
    """How many windows it takes at once, at most, for the memory that it found."""
    lanes: int
    """How many batches it takes at the same time, each in a thread of its own."""
    express: bool
    """Whether it takes one more besides, at the cost of the others: for a short command that finds them all busy."""
    languages: list[str]
    """ISO 639-1 codes that the model knows."""
    detects_language: bool
    translates: bool
    """Whether it can say in English what was spoken in another language."""
    prompts: bool
    """Whether a prompt steers it."""
    hotwords: bool
    temperature: bool
    words: bool
    """Whether it can tell when each word was said."""
    logprobs: bool
    """Whether it can tell how probable each token was."""
    unavailable: list[str]
    """Names of the fields of a segment that are always null."""


@dataclass(frozen=True)
class ModelConfig:
    """How the model is to be loaded."""

    path: Path
    compute_type: str
    threads: int
    """Of all lanes together; 0: one for each core that this process may use."""
    workers: int = 0
    """Lanes to have, for an engine that may have several; 0: what suits the device."""
    batch: int = 0
    """Most windows at once; 0: what suits the engine."""
    margin_seconds: float = 3.0
    """Silence that the encoder is given after the speech."""
    least_seconds: float = 8.0
    """Least that the encoder is given, silence counted in."""
    group: str = "UNIQUE"
    """Of the programs that share the device; "UNIQUE": this one has it alone. For engines on a device that can be shared."""
    device: str = "cpu"
    """Which to use, for an engine that knows several: "cpu" or "cuda"."""
    device_index: int = 0
    """Which of several GPUs, as CUDA counts them."""


@dataclass(frozen=True)
class Options:
    """What one request asks for."""

    language: str | None
    """The one that is spoken, as an ISO 639-1 code; None: detect it."""
    beam: int
    prompt: str | None = None
    temperature: float = 0.0
    """0: Whisper's ladder, which decodes again at 0.2, 0.4, ... when a result looks wrong."""
    task: Literal["transcribe", "translate"] = "transcribe"
    """Translate: the text is English, and the result's language still the spoken one."""
    hotwords: str | None = None
    """Words to expect, with commas between them."""
    words: bool = False
    """Whether each segment is to come with its words."""
    logprobs: bool = False
    """Whether each segment is to come with its tokens and their probabilities."""


@dataclass(frozen=True)
class Strain:
    """How an engine does with the memory of its device."""

    times: int = 0
    """That memory ran out since the model was loaded."""
    sentence: str | None = None
    """What it does about it now, and what would help; None when nothing is wrong."""


class Engine(Protocol):
    """Runs inside the worker; knows neither asyncio nor HTTP.

    One that can get by with less memory has a property `strain` besides, a Strain.
    """

    @property
    def capabilities(self) -> Capabilities:
        """Valid after `load`."""
        ...

    def load(self, config: ModelConfig) -> None:
        """Load the model. Whatever this raises is shown to the administrator as the reason for not being ready.

        Raises Trouble for what has a sentence with its cause and cure; after DeviceBusy it is called again.
        """
        ...

    def transcribe(self, batch: list[Samples], options: Options) -> list[WindowResult]:
        """Transcribe windows, each of shape (samples,), to as many results; times count from a window's beginning.

        Raises DeviceTrouble when the device is gone: then this process is ended, and another looks for the device. Raises NoMemory when
        not even one window fits: then the process stays, as other windows may fit.
        """
        ...

    def close(self) -> None:
        """Give the device back."""
        ...

"""The engine on HailoRT's genai API, for the Hailo-10H. One window at a time, of up to 10 s; what the NPU's decoder cannot tell is null and declared so."""

import unicodedata

from ...speech.languages import LANGUAGES
from ...speech.transcript import Segment, WindowResult
from ...speech.waveform import RATE, Samples
from .. import decoding
from ..engine import Capabilities, ModelConfig, Options
from . import hef
from .binding import Binding
from .listening import Listened, Part, listen
from .session import Session, api

LONGEST = 8.0
"""Seconds of a window. The network takes 10, of which speech at a usual pace has more words than its decoder writes."""
FRAMES = 100
UNAVAILABLE = ["avg_logprob", "no_speech_prob"]


class GenaiEngine:
    """Runs inside the worker, which is killed when a call does not come back: nothing here can be interrupted."""

    def __init__(self) -> None:
        self._session: Session | None = None
        self._languages: list[str] = []

    @property
    def capabilities(self) -> Capabilities:
        """What the loaded model can do."""
        # What is to be translated is in a language that the request does not name.
        detects = len(self._languages) > 1 and self._loaded.detects_language
        return Capabilities(
            window_seconds=LONGEST,
            batch=1,
            lanes=1,
            express=False,
            languages=self._languages,
            detects_language=detects,
            translates=detects,
            prompts=False,
            hotwords=False,
            temperature=False,
            words=False,
            logprobs=False,
            unavailable=UNAVAILABLE,
        )

    def load(self, config: ModelConfig) -> None:
        """Check the HEF, take the device and load it there. Raises Trouble, with what to do about it."""
        binding = Binding()
        api(binding)
        found = hef.read(config.path)
        hef.check(found, binding.version)
        device = binding.open(config.group)
        try:
            self._session = session = Session(binding, device, found.path)
        except BaseException:
            device.release()
            raise
        # A language is a token of its own, or none that the model knows.
        self._languages = [code for code in LANGUAGES if len(session.tokenize(f"<|{code}|>")) == 1] or ["en"]

    def transcribe(self, batch: list[Samples], options: Options) -> list[WindowResult]:
        """Transcribe windows, each of shape (samples,), one after the other."""
        return [self._window(samples, options) for samples in batch]

    def close(self) -> None:
        """Give the device back."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    @property
    def _loaded(self) -> Session:
        if self._session is None:
            raise RuntimeError("no model is loaded")
        return self._session

    def _window(self, samples: Samples, options: Options) -> WindowResult:
        if options.language is None and not self._loaded.detects_language:
            raise ValueError("this release of HailoRT does not detect languages")
        heard: Listened = listen(self._loaded, samples, options.task, options.language)
        seconds = len(samples) / RATE
        segments = [_segment(part, seconds) for part in heard.parts if part.start < seconds]
        # The device detects a language and does not say which.
        return WindowResult(segments, options.language, heard.again)


def _segment(part: Part, seconds: float) -> Segment:
    text = _spaced(part.text.rstrip())
    start = max(part.start, 0.0)
    return Segment(
        start=start,
        end=max(min(part.end, seconds), start),
        text=text,
        tokens=part.tokens,
        temperature=0.0,
        avg_logprob=None,
        compression_ratio=decoding.compression_ratio(text.strip()),
        no_speech_prob=None,
        seek=round(start * FRAMES),
    )


def _spaced(text: str) -> str:
    """The text with a space before it, as Whisper's tokens have it, except in scripts that know none (wide letters)."""
    return text if text[:1].isspace() or unicodedata.east_asian_width(text[0]) in "WF" else f" {text}"

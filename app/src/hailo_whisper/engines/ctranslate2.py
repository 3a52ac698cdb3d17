"""The engine for CPUs: Whisper in CTranslate2 form, by faster-whisper."""

import os
from typing import Any

from ..speech.transcript import Segment, WindowResult
from ..speech.waveform import Samples
from .engine import Capabilities, ModelConfig, Options

# Whisper's own ladder: https://github.com/openai/whisper, transcribe(), `temperature`.
LADDER = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


class CTranslate2Engine:
    """Takes windows of any length: faster-whisper moves through them in steps of 30 s by itself."""

    def __init__(self) -> None:
        self._model: Any = None

    @property
    def capabilities(self) -> Capabilities:
        """What the loaded model can do."""
        return Capabilities(
            window_seconds=30.0,
            batch=8,
            languages=list(self._model.supported_languages),
            detects_language=bool(self._model.model.is_multilingual),
        )

    def load(self, config: ModelConfig) -> None:
        """Load the folder's model. Never reaches for the network: faster-whisper would, for a name that is not a folder."""
        # Imported here, because it takes a second and the process is to answer at once.
        from faster_whisper import WhisperModel

        if not config.path.is_dir():
            raise FileNotFoundError(f"{config.path} is not a folder")
        self._model = WhisperModel(
            str(config.path),
            device="cpu",
            compute_type=config.compute_type,
            cpu_threads=config.threads or len(os.sched_getaffinity(0)),
            local_files_only=True,
        )

    def transcribe(self, batch: list[Samples], options: Options) -> list[WindowResult]:
        """Transcribe one window after the other."""
        return [self._window(samples, options) for samples in batch]

    def _window(self, samples: Samples, options: Options) -> WindowResult:
        segments, info = self._model.transcribe(
            samples,
            language=options.language,
            task=options.task,
            beam_size=options.beam,
            temperature=LADDER if options.temperature == 0 else (options.temperature,),
            initial_prompt=options.prompt,
        )
        return WindowResult(
            [
                Segment(
                    start=segment.start,
                    end=segment.end,
                    text=segment.text,
                    tokens=segment.tokens,
                    temperature=float(segment.temperature),
                    avg_logprob=segment.avg_logprob,
                    compression_ratio=segment.compression_ratio,
                    no_speech_prob=segment.no_speech_prob,
                    seek=segment.seek,
                )
                for segment in segments
            ],
            info.language,
        )

    def close(self) -> None:
        """Drop the model."""
        self._model = None

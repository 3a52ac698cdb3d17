"""The engine on a GPU that fails as CUDA fails: what it says is in the model's folder. Beside that it is the scripted engine.

The file `at-load` holds what CUDA says when the model is loaded, `at-work` what it says over every batch but the warm-up's.
"""

import contextlib
from dataclasses import replace
from pathlib import Path

from scripted_engine import ScriptedEngine

from hailo_whisper.engines import cuda
from hailo_whisper.engines.ctranslate2 import CTranslate2Engine
from hailo_whisper.engines.engine import Capabilities, ModelConfig, Options
from hailo_whisper.speech.transcript import WindowResult
from hailo_whisper.speech.waveform import Samples

ENGINE = "scripted_gpu:ScriptedGpu"


class ScriptedGpu(CTranslate2Engine):
    def __init__(self) -> None:
        super().__init__()
        self._heard = ScriptedEngine()

    @property
    def capabilities(self) -> Capabilities:
        return self._heard.capabilities

    def load(self, config: ModelConfig) -> None:
        self._config = replace(config, device="cuda")
        self._heard.load(config)
        with cuda.failing():
            self._say("at-load")

    def _transcribe(self, batch: list[Samples], options: Options) -> list[WindowResult]:
        if options.prompt:
            self._say("at-work")
        return self._heard.transcribe(batch, options)

    def _say(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            raise RuntimeError(Path(self._config.path / name).read_text())

"""The engine for Hailo's NPUs: by the form that the model's files have, on HailoRT's genai API or on an encoder and a decoder."""

from ...failure import Failure
from ...models import hefs
from ...speech.transcript import WindowResult
from ...speech.waveform import Samples
from ..engine import Capabilities, ModelConfig, Options
from ..trouble import Trouble
from .genai import GenaiEngine
from .pair import PairEngine

ENGINES: dict[hefs.Kind, type[GenaiEngine] | type[PairEngine]] = {"genai": GenaiEngine, "pair": PairEngine}


class HailoEngine:
    """Runs inside the worker, which is killed when a call does not come back: nothing here can be interrupted."""

    def __init__(self) -> None:
        self._engine: GenaiEngine | PairEngine | None = None

    @property
    def capabilities(self) -> Capabilities:
        """What the loaded model can do."""
        return self._loaded.capabilities

    def load(self, config: ModelConfig) -> None:
        """Check the files, take the device and load them there. Raises Trouble, with what to do about it."""
        try:
            kind = hefs.at(config.path).kind
        except Failure as error:
            raise Trouble(str(error)) from None
        engine = ENGINES[kind]()
        engine.load(config)
        self._engine = engine

    def transcribe(self, batch: list[Samples], options: Options) -> list[WindowResult]:
        """Transcribe windows, each of shape (samples,), one after the other."""
        return self._loaded.transcribe(batch, options)

    def close(self) -> None:
        """Give the device back."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    @property
    def _loaded(self) -> GenaiEngine | PairEngine:
        if self._engine is None:
            raise RuntimeError("no model is loaded")
        return self._engine

"""What the settings mean to the parts that know none: the model's folder, how a worker is launched, how long to wait for what."""

from pathlib import Path

from ..engines.launch import Launch, Patience, WarmUp
from ..models import catalog
from ..models.store import Store
from ..settings import Settings
from .choice import Choice

ENGINE = "hailo_whisper.engines.ctranslate2:CTranslate2Engine"
CATALOG_ENGINES = {ENGINE: "ctranslate2"}
"""What the catalog calls them; one that is not named takes every model."""


def launch(settings: Settings, engine: str, warm_up: WarmUp) -> Launch:
    """How a worker is started: `engine` is `module:Class`."""
    model = settings.model
    store = Store(Path(settings.storage.models), catalog.load(extra=Path(settings.models.catalog)))
    path = Path(model.path) if model.path else None
    choice = Choice(store, model.name, engine=CATALOG_ENGINES.get(engine), path=path, fallback=model.fallback)
    return Launch(
        engine=engine,
        prepare=choice.find,
        compute_type=model.compute_type,
        threads=model.threads,
        warm_up=warm_up,
        batch=model.batch,
        margin_seconds=settings.windows.margin_seconds,
        least_seconds=settings.windows.least_seconds,
    )


def patience(settings: Settings) -> Patience:
    """How long to wait for the worker."""
    limits = settings.limits
    return Patience(limits.load_seconds, limits.batch_seconds, limits.deadline_factor, settings.model.keep_alive)

"""What the settings mean to the parts that know none: the model's folder, how a worker is launched, how long to wait for what."""

from pathlib import Path

from ..engines.launch import Launch, Patience, WarmUp
from ..models.store import Store
from ..settings import Settings
from . import engines


def model_folder(settings: Settings) -> Path:
    """Where the configured model is, or would be."""
    return Path(settings.model.path) if settings.model.path else Path(settings.storage.models) / settings.model.name


def launch(settings: Settings, engine: str | None, warm_up: WarmUp) -> Launch:
    """How a worker is started: `engine` is `module:Class`, or None for the one that the settings choose."""
    store = Store(Path(settings.storage.models))
    kind = None if engine else engines.chosen(settings)

    def prepare() -> Path:
        if kind == "hailo":
            return engines.hef(settings)
        if settings.model.path:
            store.check_folder(Path(settings.model.path))
            return Path(settings.model.path)
        return store.path(settings.model.name)

    return Launch(
        engine=engine or engines.CLASSES[kind or "ctranslate2"],
        prepare=prepare,
        compute_type=settings.model.compute_type,
        threads=settings.model.threads,
        warm_up=warm_up,
        batch=settings.model.batch,
        margin_seconds=settings.windows.margin_seconds,
        least_seconds=settings.windows.least_seconds,
        group=settings.hailo.group,
        device_wait=settings.hailo.device_wait_seconds,
    )


def patience(settings: Settings) -> Patience:
    """How long to wait for the worker."""
    limits = settings.limits
    return Patience(limits.load_seconds, limits.batch_seconds, limits.deadline_factor, settings.model.keep_alive)

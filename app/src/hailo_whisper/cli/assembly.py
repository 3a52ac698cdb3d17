"""What the settings mean to the parts that know none: the model's folder, how a worker is launched, how long to wait for what."""

from pathlib import Path

from ..engines.launch import Launch, Patience, WarmUp
from ..engines.supervisor import Supervisor
from ..models import catalog
from ..models.store import Store
from ..scheduling.lineup import Hosted
from ..scheduling.scheduler import Scheduler
from ..service import memory
from ..service.metrics import Metrics
from ..settings import Settings
from . import engines
from .choice import Choice, Finder, Finding

CATALOG_ENGINES = {engines.CLASSES[engines.CPU]: "ctranslate2"}
"""What the catalog calls them; one that is not named takes every model."""


def launch(settings: Settings, engine: str | None, warm_up: WarmUp, offered: str | None = None) -> Launch:
    """How a worker is started for the configured model, or for one of those `offered` beside it.

    `engine` is `module:Class`, or None for the one that the settings choose.
    """
    model = settings.model
    further = Path(settings.models.catalog)
    kind = None if engine else engines.chosen(settings)
    # The NPU has room for one model: others beside it are the CPU's.
    if offered and kind == "hailo":
        kind = engines.CPU
    chosen = engine or engines.CLASSES[kind or engines.CPU]

    def choose() -> Finding:
        if kind == "hailo":
            return engines.hefs(settings)
        store = Store(Path(settings.storage.models), catalog.load(extra=further))
        catalog_engine = CATALOG_ENGINES.get(chosen)
        if offered:
            return Choice(store, offered, engine=catalog_engine, most_mb=memory_mb(settings))
        path = Path(model.path) if model.path else None
        return Choice(store, model.name, engine=catalog_engine, path=path, fallback=model.fallback)

    return Launch(
        model=offered or model.name,
        engine=chosen,
        prepare=Finder(further, choose),
        compute_type=model.compute_type,
        threads=model.threads,
        warm_up=warm_up,
        device=engines.DEVICES.get(kind or engines.CPU, "cpu"),
        batch=model.batch,
        margin_seconds=settings.windows.margin_seconds,
        least_seconds=settings.windows.least_seconds,
        group=settings.hailo.group,
        device_wait=settings.hailo.device_wait_seconds,
    )


def offered(settings: Settings) -> list[str]:
    """Names of the models beside the configured one, each once."""
    return [name for name in dict.fromkeys(settings.models.offered) if name != settings.model.name]


def memory_mb(settings: Settings) -> int:
    """Memory of all models together."""
    return settings.models.memory_mb or memory.machine_mb() // 2


def hosted(launch: Launch, settings: Settings, metrics: Metrics, *, on_demand: bool = False) -> Hosted:
    """A model, ready to be started."""
    supervisor = Supervisor(launch, patience(settings), metrics, on_demand=on_demand)
    return Hosted(supervisor, Scheduler(supervisor, settings, metrics))


def patience(settings: Settings) -> Patience:
    """How long to wait for a worker."""
    limits = settings.limits
    return Patience(limits.load_seconds, limits.batch_seconds, limits.deadline_factor, settings.model.keep_alive)

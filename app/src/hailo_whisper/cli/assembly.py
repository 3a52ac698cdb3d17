"""What the settings mean to the parts that know none: the model's folder, how a worker is launched, how long to wait for what."""

from dataclasses import replace
from pathlib import Path

from ..accelerators.machine import signs
from ..engines.launch import Launch, Patience, WarmUp
from ..engines.supervisor import Supervisor
from ..failure import Failure
from ..models import hefs
from ..scheduling.lineup import Hosted
from ..scheduling.scheduler import Scheduler
from ..service import memory
from ..service.metrics import Metrics
from ..settings import Settings
from . import engines, stock
from .choice import Choice, Finder, Finding

CATALOG_ENGINES = {engines.CLASSES[engines.CPU]: "ctranslate2"}
"""What the catalog calls them; one that is not named takes every model."""


def launch(
    settings: Settings, engine: str | None, warm_up: WarmUp, offered: str | None = None, *, chosen: str | None = None
) -> Launch:
    """How a worker is started for the configured model, or for one of those `offered` beside it.

    `engine` is `module:Class`, or None for the kind of engine that was `chosen` for these settings; it is chosen here unless given, which may
    take seconds.
    """
    kind = None if engine else chosen or engines.chosen(settings)
    # The NPU has room for one model: others beside it are the CPU's.
    if offered and kind == "hailo":
        kind = engines.CPU
    own = _launch(settings, kind, engine or engines.CLASSES[kind or engines.CPU], warm_up, offered)
    if offered or settings.engine.fallback == "none" or kind in (None, engines.CPU):
        return own
    return replace(own, stand_in=_stand_in(settings, own, warm_up), signs=signs)


def _stand_in(settings: Settings, own: Launch, warm_up: WarmUp) -> Launch:
    """How the CPU serves while the engine of a launch cannot."""
    model = settings.model
    if own.kind == "hailo":
        # The same model in the CPU's form, by the name that this has in the catalog.
        model = model.model_copy(update={"name": hefs.general(model.name), "path": None})
    changed = settings.model_copy(update={"model": model})
    return replace(_launch(changed, engines.CPU, engines.CLASSES[engines.CPU], warm_up), model=own.model)


def prepare(launch: Launch) -> None:
    """See that a launch has a model that can be loaded, if only by what may stand in for it. Raises Failure."""
    try:
        launch.prepare()
    except Failure as error:
        if launch.stand_in is None:
            raise
        try:
            launch.stand_in.prepare()
        except Failure as worse:
            raise Failure(f"{error} The CPU cannot take the place of {launch.processor} (engine.fallback): {worse}") from None


def _launch(settings: Settings, kind: str | None, chosen: str, warm_up: WarmUp, offered: str | None = None) -> Launch:
    model = settings.model
    if kind == engines.CPU != settings.engine.kind and (settings.engine.kind == "cuda" or "float16" in model.compute_type):
        # These were set for a GPU, which is not there, or has failed: no CPU computes in float16.
        model = model.model_copy(update={"compute_type": "int8", "workers": 0})
    further = Path(settings.models.catalog)

    def choose() -> Finding:
        if kind == "hailo":
            return engines.hefs(settings)
        store = stock.store(settings)
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
        device_index=settings.cuda.device_index,
        workers=model.workers,
        batch=model.batch,
        margin_seconds=settings.windows.margin_seconds,
        least_seconds=settings.windows.least_seconds,
        group=settings.hailo.group,
        device_wait=settings.hailo.device_wait_seconds,
        kind=kind or "",
        processor=engines.NAMES.get(kind or "", "the engine"),
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

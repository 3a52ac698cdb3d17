"""Which engine transcribes here: the one that is set, or, with `auto`, what this machine has."""

import importlib.util
import logging
from pathlib import Path

from ..failure import Failure
from ..models import catalog
from ..models.store import Store
from ..settings import Settings
from .choice import HefChoice

log = logging.getLogger(__name__)

CLASSES = {
    "ctranslate2": "hailo_whisper.engines.ctranslate2:CTranslate2Engine",
    "hailo": "hailo_whisper.engines.hailo.engine:HailoEngine",
}
NODES = ("hailo[0-9]*", "h1x-[0-9]*")
"""Of the device, in /dev: up to driver 5.2, and from 5.3 on."""


def hefs(settings: Settings) -> HefChoice:
    """What finds the configured model for the NPU. Raises CatalogInvalid."""
    store = Store(Path(settings.storage.models), catalog.load(extra=Path(settings.models.catalog)))
    return HefChoice(store, settings.model.name, path=settings.model.path, resources=Path(settings.hailo.resources))


def hef(settings: Settings) -> Path:
    """The configured model for the NPU: a HEF, or the folder of an encoder and a decoder. Raises Failure."""
    return hefs(settings).find().path


def chosen(settings: Settings, devices: Path = Path("/dev")) -> str:
    """`ctranslate2` or `hailo`. Nothing is loaded for it: HailoRT's library is the worker's business."""
    kind = settings.engine.kind
    if kind != "auto":
        return kind
    lacking = _lacking(settings, devices)
    if lacking is None:
        return "hailo"
    log.info("the CPU transcribes: %s", lacking)
    return "ctranslate2"


def _lacking(settings: Settings, devices: Path) -> str | None:
    """What a Hailo NPU needs and is not here; None when all is."""
    if not any(list(devices.glob(pattern)) for pattern in NODES):
        return "there is no Hailo device"
    if importlib.util.find_spec("hailo_platform") is None:
        return "there is a Hailo device, but HailoRT's Python package hailo_platform is not installed"
    try:
        hef(settings)
    except Failure as error:
        return f"there is a Hailo device, but {error}"
    return None

"""Where the service finds its models by their names: the store that the settings mean. It is decided here and nowhere else."""

from pathlib import Path

from ..models import catalog
from ..models.store import PACKAGED, Store
from ..settings import Settings


def store(settings: Settings) -> Store:
    """The models that can be served. Raises CatalogInvalid."""
    cache = settings.storage.hub_cache
    known = catalog.load(extra=Path(settings.models.catalog))
    return Store(Path(settings.storage.models), known, packaged=PACKAGED, cache=Path(cache) if cache else None)

"""A model hub as a source. Where it is, who asks and what lies here already is huggingface_hub's to say, with its variables."""

import os
import shutil
from pathlib import Path

from ..catalog import File, Hub, Model
from ..progress import Progress
from ..sums import difference
from .failed import NotOffered, SourceFailed
from .patience import Patience
from .reach import Reach
from .transfer import Item, transfer


class HubSource:
    """Takes what lies in the hub's cache on this machine, and downloads the rest.

    The bytes come by our own transfer and not by the library's, whose downloads may stall for as long as they like, and whose parts
    another source could not go on with.
    """

    name = "hub"

    def __init__(self, patience: Patience | None = None) -> None:
        self._patience = (patience or Patience()).stretched()
        self._reach = Reach(self._patience.connect, "HF_ENDPOINT")

    def extra_space(self, model: Model) -> int:
        """None: what is downloaded is moved to its place. Raises NotOffered without a repository."""
        _of(model)
        return 0

    def fetch(self, model: Model, into: Path, work: Path, progress: Progress) -> None:
        """Copy or download the files. Raises SourceFailed; a dead hub costs one connection time-out."""
        hub = _of(model)
        absent = [name for name in model.files if not _copy_cached(hub, name, model.files[name], into)]
        if not absent:
            return
        if _is_set("HF_HUB_OFFLINE") or _is_set("TRANSFORMERS_OFFLINE"):
            raise SourceFailed("HF_HUB_OFFLINE is set and the hub's cache lacks the model")
        self._reach.check(endpoint())
        transfer(
            [Item(name, _address(hub, name), model.files[name]) for name in absent],
            into,
            work,
            progress,
            patience=self._patience,
            headers=_headers(),
            copied=sum((into / name).stat().st_size for name in model.files if name not in absent),
            refused="set HF_TOKEN to a token that may read it",
        )


def _of(model: Model) -> Hub:
    if model.sources.hub is None:
        raise NotOffered(f"the catalog knows no hub repository for {model.name}")
    return model.sources.hub


def endpoint() -> str:
    """The address of the hub: `HF_ENDPOINT`, or what huggingface_hub uses without it."""
    from huggingface_hub import constants

    return (os.environ.get("HF_ENDPOINT") or str(constants.ENDPOINT)).rstrip("/")


def _address(hub: Hub, name: str) -> str:
    from huggingface_hub import hf_hub_url

    return str(hf_hub_url(hub.repository, hub.files.get(name, name), revision=hub.revision, endpoint=endpoint()))


def _headers() -> dict[str, str]:
    """Who asks: the library's user agent, and the user's token where there is one."""
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    return dict(build_hf_headers(library_name="hailo-whisper"))


def _copy_cached(hub: Hub, name: str, expected: File, into: Path) -> bool:
    """Whether the very file lay in the hub's cache. The cache is shared with other programs, so the file is copied."""
    from huggingface_hub import constants, try_to_load_from_cache

    cache = os.environ.get("HF_HUB_CACHE") or constants.HF_HUB_CACHE
    found = try_to_load_from_cache(hub.repository, hub.files.get(name, name), cache_dir=cache, revision=hub.revision)
    if not isinstance(found, str) or difference(Path(found), expected):
        return False
    shutil.copyfile(found, into / name)
    return True


def _is_set(variable: str) -> bool:
    return os.environ.get(variable, "").upper() in {"1", "ON", "YES", "TRUE"}

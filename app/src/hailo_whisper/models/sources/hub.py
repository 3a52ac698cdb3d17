"""A model hub as a source, by huggingface_hub: its variables for endpoint, token, caches and time-outs apply."""

import http.client
import os
import queue
import shutil
import socket
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from ..catalog import File, Hub, Model
from ..progress import Progress
from ..sums import difference
from .failed import SourceFailed
from .process import download, longest

CONNECT_SECONDS = 4.0
DOWNLOADER = __name__.replace(".hub", ".hub_download")


class HubSource:
    """Takes what lies in the hub's cache on this machine, and downloads the rest in a child process."""

    name = "hub"

    def extra_space(self, model: Model) -> int:
        """None: what is downloaded is moved to its place."""
        return 0

    def fetch(self, model: Model, into: Path, work: Path, progress: Progress) -> None:
        """Copy or download the files. Raises SourceFailed; a dead hub costs one connection time-out."""
        hub = model.sources.hub
        if hub is None:
            raise SourceFailed(f"the catalog knows no hub repository for {model.name}")
        absent = [name for name in model.files if not _copy_cached(hub, name, model.files[name], into)]
        if not absent:
            return
        if _is_set("HF_HUB_OFFLINE") or _is_set("TRANSFORMERS_OFFLINE"):
            raise SourceFailed("HF_HUB_OFFLINE is set and the hub's cache lacks the model")
        probe(endpoint())
        folder = work / "hub"
        env = {"HF_HUB_DISABLE_PROGRESS_BARS": "1"} | os.environ
        download(
            [sys.executable, "-P", "-m", DOWNLOADER, hub.repository, hub.revision, str(folder), *absent],
            env=env,
            folder=folder,
            log=work / "hub.log",
            reached=sum(file.size for name, file in model.files.items() if name not in absent),
            limit=sum(model.files[name].size for name in absent),
            progress=progress,
            stall_seconds=longest(env, "HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT"),
        )
        for name in absent:
            (folder / name).replace(into / name)


def endpoint() -> str:
    """The address of the hub: `HF_ENDPOINT`, or what huggingface_hub uses without it."""
    from huggingface_hub import constants

    return os.environ.get("HF_ENDPOINT") or constants.ENDPOINT


def probe(address: str) -> None:
    """Raise SourceFailed within a few seconds when nobody answers there, or at the proxy that leads there."""
    parts = urllib.parse.urlsplit(address)
    if parts.scheme not in {"http", "https"}:
        raise SourceFailed(f"{address} is not an address: mend HF_ENDPOINT")
    proxy = urllib.request.getproxies().get(parts.scheme)
    through = ""
    if proxy and not urllib.request.proxy_bypass(parts.netloc):
        parts = urllib.parse.urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        through = "the proxy "
    host = parts.hostname
    if host is None:
        raise SourceFailed(f"{address} is not an address: mend HF_ENDPOINT or the proxy variables")
    fault = _connect(host, parts.port or (443 if parts.scheme == "https" else 80))
    if fault:
        raise SourceFailed(f"{through}{parts.netloc.rpartition('@')[2]} could not be reached: {fault}")
    if _is_mute(address):
        raise SourceFailed(f"{through}{parts.netloc.rpartition('@')[2]} takes connections and does not answer")


def _connect(host: str, port: int) -> str | None:
    """Why no connection is possible, or None. In a thread of its own, because looking up a name knows no time-out."""
    answer: queue.Queue[str | None] = queue.Queue()

    def attempt() -> None:
        try:
            socket.create_connection((host, port), timeout=CONNECT_SECONDS).close()
            answer.put(None)
        except OSError as error:
            answer.put(error.strerror or str(error))

    threading.Thread(target=attempt, daemon=True).start()
    try:
        return answer.get(timeout=CONNECT_SECONDS + 1)
    except queue.Empty:
        return f"no answer within {CONNECT_SECONDS + 1:.0f} seconds"


def _is_mute(address: str) -> bool:
    """Whether not even a refusal comes. Any other fault is the downloader's to tell, which knows tokens and certificates."""
    request = urllib.request.Request(address, method="HEAD")  # noqa: S310 (the scheme was checked)
    try:
        urllib.request.urlopen(request, timeout=CONNECT_SECONDS).close()  # noqa: S310 (likewise)
    except urllib.error.URLError as error:
        return isinstance(error.reason, TimeoutError)
    except TimeoutError:
        return True
    except (OSError, http.client.HTTPException):
        return False
    return False


def _copy_cached(hub: Hub, name: str, expected: File, into: Path) -> bool:
    """Whether the very file lay in the hub's cache. The cache is shared with other programs, so the file is copied."""
    from huggingface_hub import constants, try_to_load_from_cache

    cache = os.environ.get("HF_HUB_CACHE") or constants.HF_HUB_CACHE
    found = try_to_load_from_cache(hub.repository, name, cache_dir=cache, revision=hub.revision)
    if not isinstance(found, str) or difference(Path(found), expected):
        return False
    shutil.copyfile(found, into / name)
    return True


def _is_set(variable: str) -> bool:
    return os.environ.get(variable, "").upper() in {"1", "ON", "YES", "TRUE"}

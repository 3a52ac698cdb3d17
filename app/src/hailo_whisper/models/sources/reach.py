"""Whether anybody answers at an address. Asked once for each, so that a dead place costs its time-out once."""

import http.client
import queue
import socket
import threading
import urllib.error
import urllib.parse
import urllib.request

from .failed import SourceFailed


class Reach:
    """What is known of the places that one source talks to. `connect` is in seconds; `mend` says what names the address."""

    def __init__(self, connect: float, mend: str) -> None:
        self._connect, self._mend = connect, mend
        self._known: dict[str, str | None] = {}

    def check(self, address: str) -> None:
        """Raise SourceFailed when nobody answers at the address's host, or at the proxy that leads there; at once when that is known."""
        parts = urllib.parse.urlsplit(address)
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin not in self._known:
            try:
                probe(address, self._connect, self._mend)
                self._known[origin] = None
            except SourceFailed as error:
                self._known[origin] = str(error)
        fault = self._known[origin]
        if fault:
            raise SourceFailed(fault)


def probe(address: str, connect: float, mend: str) -> None:
    """Raise SourceFailed within a few seconds when nobody answers there, or at the proxy that leads there."""
    parts = urllib.parse.urlsplit(address)
    if parts.scheme not in {"http", "https"}:
        raise SourceFailed(f"{address} is not an address: mend {mend}")
    proxy = urllib.request.getproxies().get(parts.scheme)
    through = ""
    if proxy and not urllib.request.proxy_bypass(parts.netloc.rpartition("@")[2]):
        parts = urllib.parse.urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        through = "the proxy "
    host = parts.hostname
    if host is None:
        raise SourceFailed(f"{address} is not an address: mend {mend} or the proxy variables")
    place = through + parts.netloc.rpartition("@")[2]
    fault = _connect(host, parts.port or (443 if parts.scheme == "https" else 80), connect)
    if fault:
        raise SourceFailed(f"{place} could not be reached: {fault}")
    if _is_mute(address, connect):
        raise SourceFailed(f"{place} takes connections and does not answer")


def _connect(host: str, port: int, seconds: float) -> str | None:
    """Why no connection is possible, or None. In a thread of its own, because looking up a name knows no time-out."""
    answer: queue.Queue[str | None] = queue.Queue()

    def attempt() -> None:
        try:
            socket.create_connection((host, port), timeout=seconds).close()
            answer.put(None)
        except OSError as error:
            answer.put(error.strerror or str(error))

    threading.Thread(target=attempt, daemon=True).start()
    try:
        return answer.get(timeout=seconds + 1)
    except queue.Empty:
        return f"no answer within {seconds + 1:.0f} seconds"


def _is_mute(address: str, seconds: float) -> bool:
    """Whether not even a refusal comes. Any other fault is the transfer's to tell, which knows tokens and certificates."""
    parts = urllib.parse.urlsplit(address)
    plain = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    request = urllib.request.Request(plain, method="HEAD")  # noqa: S310 (the scheme was checked)
    try:
        urllib.request.urlopen(request, timeout=seconds).close()  # noqa: S310 (likewise)
    except urllib.error.URLError as error:
        return isinstance(error.reason, TimeoutError)
    except TimeoutError:
        return True
    except (OSError, http.client.HTTPException):
        return False
    return False

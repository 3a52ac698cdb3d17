"""What a server's answer to the request for a file means: here it is, come again, or it is no use."""

import re
from dataclasses import dataclass

import httpx2

from ... import retry_after
from ..catalog import File
from .failed import SourceFailed

FLEETING = {408, 425, 429, 500, 502, 503, 504}


class Again(Exception):
    """One try failed and another may not. `after` is the number of seconds that the server asks for, if it does."""

    def __init__(self, fault: str, after: float | None = None) -> None:
        super().__init__(fault)
        self.after = after


@dataclass(frozen=True)
class Part:
    """A body that comes: bytes `start` to `total` of a file. `tag` names its version, `sha256` is what the server says of it."""

    start: int
    total: int
    tag: str | None = None
    sha256: str | None = None
    restart: bool = False


def check(response: httpx2.Response, name: str, expected: File, have: int, refused: str) -> Part:
    """What the body is that comes with the answer. Nothing of it has been read yet. Raises Again and SourceFailed."""
    status = response.status_code
    if status in FLEETING:
        raise Again(f"{response.url.host} answers {status}", retry_after.seconds(response.headers.get("retry-after", "")))
    if status in {401, 403}:
        raise SourceFailed(f"{name}: {response.url.host} refuses it ({status}): {refused}")
    if status == 416:
        return Part(0, 0, restart=True)
    if status not in {200, 206}:
        raise SourceFailed(f"{name}: {response.url.host} answers {status}")
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise SourceFailed(f"{name}: {response.url.host} sends it compressed, though it was asked not to")
    if expected.sha256 is None and any(each.url.scheme == "https" for each in response.history) and response.url.scheme == "http":
        raise SourceFailed(f"{name}: {response.url.host} is not encrypted, and there is no sum to check what comes from there")
    start, total = _extent(response, have)
    if start not in {0, have}:
        return Part(0, 0, restart=True)
    return Part(start, _total(response, name, expected, total), response.headers.get("etag"), _linked(response))


def _extent(response: httpx2.Response, have: int) -> tuple[int, int | None]:
    """Where the body begins, and how long the whole file is."""
    length = response.headers.get("content-length", "")
    if response.status_code == 200:
        return 0, int(length) if length.isdigit() else None
    found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("content-range", "").strip())
    if not found:
        return -1, None
    return int(found[1]), int(found[3]) if found[3] != "*" else int(found[2]) + 1


def _total(response: httpx2.Response, name: str, expected: File, told: int | None) -> int:
    """The size of the file, which must be the right one. Refuses what cannot be it before it is read."""
    total = expected.size if told is None else told
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "text/html" and (expected.size is None or told != expected.size) and not name.endswith((".html", ".htm")):
        raise SourceFailed(
            f"{name}: a web page came from {response.url.host} instead of the file, perhaps the sign-in page of the network or of a proxy"
        )
    if total is None:
        raise SourceFailed(f"{name}: {response.url.host} does not say how long it is")
    if expected.size is not None and total != expected.size:
        raise SourceFailed(f"{name} has {total} bytes at {response.url.host} and must have {expected.size}")
    if total == 0:
        raise SourceFailed(f"{name} is empty at {response.url.host}")
    return total


def _linked(response: httpx2.Response) -> str | None:
    """The sha256 that a hub gives with its redirect to where the file lies."""
    for each in (*response.history, response):
        tag = str(each.headers.get("x-linked-etag", "")).strip('"')
        if re.fullmatch(r"[0-9a-f]{64}", tag):
            return tag
    return None

"""Getting files by HTTP: several at a time, taken up again where they broke off, and given up when nothing comes any more."""

import asyncio
import os
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx2

from ..catalog import File
from ..placement import require_space
from ..progress import Progress
from ..sums import sha256
from .answers import Again, Part, check
from .failed import SourceFailed
from .patience import Patience

LONGEST_CHAIN = 8
"""Redirects that are followed."""
WORTH = 1 << 20
"""Bytes that make a try one that brought something, so that the count of the vain ones begins anew."""
LEAST_RATE = 500
"""Bytes in a second, below which a transfer counts as stalled: a byte now and then would keep it going for years."""


@dataclass(frozen=True)
class Item:
    """One file: its name in the model, where it is, and what it must be."""

    name: str
    url: str
    expected: File

    def part(self, work: Path) -> Path:
        """Where it grows. A pinned file has the same place whatever it comes from, so that another source goes on with it."""
        return work / (f"{self.name}.{self.expected.sha256}" if self.expected.sha256 else f"{self.name}.part")

    def tag(self, work: Path) -> Path:
        """Where the server's name for the version is noted that the part is of, for a file without a sum."""
        return work / f"{self.name}.tag"


def transfer(
    items: Sequence[Item],
    into: Path,
    work: Path,
    progress: Progress,
    *,
    patience: Patience,
    headers: Mapping[str, str] | None = None,
    copied: int = 0,
    refused: str = "check the address",
) -> None:
    """Bring the files into the folder `into`. What has arrived stays in `work` when it fails, for the next time.

    `headers` go to the addresses of the items, and not on to where those redirect; `copied` bytes are there already. Raises
    SourceFailed (`refused` says what to do about a 401 or 403), PlacementFailed, and OSError when the disk is full.
    """
    asyncio.run(_Transfer(work, progress, patience=patience, copied=copied, refused=refused).run(items, dict(headers or {})))
    for item in items:
        item.part(work).replace(into / item.name)


class _Transfer:
    def __init__(self, work: Path, progress: Progress, *, patience: Patience, copied: int, refused: str) -> None:
        self._work, self._progress = work, progress
        self._patience, self._copied, self._refused = patience, copied, refused
        self._arrived: dict[str, int] = {}

    async def run(self, items: Sequence[Item], headers: dict[str, str]) -> None:
        self._arrived = {item.name: _size(item.part(self._work)) for item in items}
        lanes = asyncio.Semaphore(self._patience.parallel)
        try:
            async with _client(self._patience, headers) as client, asyncio.TaskGroup() as group:
                for item in items:
                    group.create_task(self._bring(client, item, lanes))
        except ExceptionGroup as faults:
            raise faults.exceptions[0] from None

    async def _bring(self, client: httpx2.AsyncClient, item: Item, lanes: asyncio.Semaphore) -> None:
        """One file, in as many tries as it is worth."""
        async with lanes:
            vain, before = 0, self._arrived[item.name]
            while True:
                try:
                    return await self._attempt(client, item)
                except Again as fault:
                    vain += 1
                    if self._arrived[item.name] - before >= WORTH:
                        vain, before = 0, self._arrived[item.name]
                    if vain >= self._patience.tries:
                        raise SourceFailed(f"{item.name}: {fault}, {vain} times in a row") from None
                    pause = max(fault.after or 0.0, self._patience.pause_after(vain))
                    if pause > self._patience.longest_pause:
                        raise SourceFailed(f"{item.name}: {fault}, and asks to come again in {pause:.0f} seconds") from None
                await asyncio.sleep(pause)

    async def _attempt(self, client: httpx2.AsyncClient, item: Item) -> None:
        have, known = self._begun(item)
        self._reach(item, have)
        if have and have == item.expected.size:
            return
        try:
            await self._ask(client, item, have, known)
        except (TimeoutError, httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise self._meaning(error, item) from None

    def _begun(self, item: Item) -> tuple[int, str]:
        """The bytes to go on from, and the tag of the version that they are of."""
        part, tag = item.part(self._work), item.tag(self._work)
        have = _size(part)
        url, _, known = tag.read_text().partition("\n") if tag.is_file() else ("", "", "")
        if url != item.url:
            known = ""
        # Without a sum in the end, only the tag can tell whether two halves are of one file.
        if (item.expected.sha256 is None and not known) or have > (item.expected.size or have):
            part.unlink(missing_ok=True)
            return 0, ""
        return have, known

    async def _ask(self, client: httpx2.AsyncClient, item: Item, have: int, known: str) -> None:
        asked = {"Accept-Encoding": "identity"}
        if have:
            asked["Range"] = f"bytes={have}-"
            if known:
                asked["If-Range"] = known
        request = client.build_request("GET", item.url, headers=asked)
        async with asyncio.timeout(self._patience.connect + self._patience.stall):
            response = await client.send(request, stream=True)
        try:
            answer = check(response, item.name, item.expected, have, self._refused)
            if not answer.restart:
                return await self._take(response, item, answer)
        finally:
            await response.aclose()
        if not have:
            raise Again("the server sends a part of it that was not asked for")
        item.part(self._work).unlink(missing_ok=True)
        return await self._ask(client, item, 0, "")

    def _meaning(self, error: Exception, item: Item) -> Exception:
        """What an error of the library is to us: to be tried again, or the end."""
        if isinstance(error, httpx2.TooManyRedirects):
            return SourceFailed(f"{item.name}: the server redirects in a circle")
        if isinstance(error, (httpx2.InvalidURL, httpx2.UnsupportedProtocol, httpx2.LocalProtocolError)):
            return SourceFailed(f"{item.name}: {_words(error)}")
        if isinstance(error, httpx2.ProxyError) and str(error).startswith("4"):
            return SourceFailed(f"{item.name}: the proxy refuses it ({error}): check the user and the password in https_proxy")
        if isinstance(_root(error), ssl.SSLError):
            return SourceFailed(f"{item.name}: {_words(error)} (SSL_CERT_FILE names further certificates)")
        if isinstance(error, TimeoutError):
            return Again(f"no answer within {self._patience.connect + self._patience.stall:g} seconds")
        if isinstance(error, httpx2.ReadTimeout):
            return Again(f"nothing arrived for {self._patience.stall:g} seconds")
        if isinstance(error, httpx2.RemoteProtocolError):
            return Again(f"the connection ended after {self._arrived[item.name]} bytes")
        return Again(_words(error))

    async def _take(self, response: httpx2.Response, item: Item, answer: Part) -> None:
        """Write what comes to the end of the part."""
        if item.expected.sha256 is None:
            require_space(self._work, answer.total - answer.start)
            item.tag(self._work).unlink(missing_ok=True)
            if answer.tag:
                item.tag(self._work).write_text(f"{item.url}\n{answer.tag}")
        have, loop = answer.start, asyncio.get_running_loop()
        marked, since = have, loop.time()
        with item.part(self._work).open("r+b" if answer.start else "wb") as target:
            target.truncate(answer.start)
            target.seek(answer.start)
            async for chunk in response.aiter_raw():
                have += len(chunk)
                if have > answer.total:
                    raise SourceFailed(f"{item.name} is longer than the {answer.total} bytes that it must have")
                target.write(chunk)
                self._reach(item, have)
                if loop.time() - since > self._patience.stall:
                    if have - marked < LEAST_RATE * self._patience.stall:
                        raise Again(f"hardly anything arrived for {self._patience.stall:g} seconds")
                    marked, since = have, loop.time()
        if have < answer.total:
            raise Again(f"the connection ended after {have} of {answer.total} bytes")
        if item.expected.sha256 is None and answer.sha256 and sha256(item.part(self._work)) != answer.sha256:
            item.part(self._work).unlink()
            raise SourceFailed(f"{item.name} has not the sha256 that the server itself gives for it")

    def _reach(self, item: Item, have: int) -> None:
        self._arrived[item.name] = have
        self._progress.reach(self._copied + sum(self._arrived.values()))


def _client(patience: Patience, headers: dict[str, str]) -> httpx2.AsyncClient:
    """A client that heeds the variables for proxies and certificates."""
    # requests and curl have named the file of the certificates so for years, and huggingface_hub took it from there.
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    try:
        return httpx2.AsyncClient(
            headers=headers,
            timeout=httpx2.Timeout(patience.stall, connect=patience.connect, pool=None),
            follow_redirects=True,
            max_redirects=LONGEST_CHAIN,
            verify=ssl.create_default_context(cafile=bundle) if bundle else True,
        )
    except ImportError:
        raise SourceFailed("the proxy is a SOCKS proxy, which is not supported: set HTTPS_PROXY to an HTTP proxy") from None
    except (OSError, ValueError) as error:
        raise SourceFailed(f"the variables for proxies or certificates are wrong: {error}") from None


def _root(error: BaseException) -> BaseException:
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error


def _words(error: BaseException) -> str:
    """What went wrong, in one line: the first error of the chain knows best."""
    root = _root(error)
    if isinstance(root, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {root.verify_message}"
    # asyncio has words of its own for a refused connection, with an address in them.
    text = str(root)
    if isinstance(root, OSError) and not isinstance(root, ssl.SSLError) and root.errno and root.errno > 0:
        text = os.strerror(root.errno)
    return (text.strip() or type(root).__name__).splitlines()[0].rstrip(".")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0

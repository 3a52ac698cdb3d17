"""The keys in force: those of the key file as it is now, looked at again at most once a second."""

import asyncio
import hashlib
import hmac
import logging
import time
from collections.abc import Callable
from pathlib import Path

from . import file
from .file import Key, KeysUnusable, Stamp

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
# A file that was changed within this many seconds before it was read may have been changed once more since, with the same times.
SETTLED_SECONDS = 2.0


class Keyring:
    """Knows whose key is whose. A file that cannot be used means that no key is known, until it can be used again."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.trouble: str | None = None
        """Why no key is known, and what to do; None when all is well, also when no key is asked for."""
        self._clock = clock
        self._path: str | None = None
        self._keys: list[Key] = []
        self._stamp: Stamp | None = None
        self._next = 0.0
        self._lock = asyncio.Lock()

    async def look(self, path: str | None) -> None:
        """Read the file if it is another than before. Without a path no key is asked for, and there is nothing to look at."""
        if path is None:
            self._path, self._keys, self.trouble = None, [], None
            return
        known = path == self._path
        if known and self._clock() < self._next:
            return
        if known and self._lock.locked():
            # Somebody looks already, perhaps at a disk that is slow; what is known serves meanwhile.
            return
        async with self._lock:
            if path == self._path and self._clock() < self._next:
                return
            stamp = self._stamp if path == self._path else None
            try:
                # In a thread, because a disk may take its time and the loop has other things to do.
                found = await asyncio.to_thread(file.read, Path(path), stamp)
            except KeysUnusable as error:
                self._fail(str(error))
            else:
                self._take(path, found)
            self._path = path
            self._next = self._clock() + LOOK_SECONDS

    def owner(self, key: bytes) -> str | None:
        """The name that the key belongs to, or None. It takes the same time whichever key it is like."""
        given = hashlib.sha256(key).digest()
        found = None
        for known in self._keys:
            if hmac.compare_digest(known.digest, given):
                found = known.name
        return found

    def _take(self, path: str, found: tuple[Stamp, list[Key]] | None) -> None:
        if found is None:
            return
        stamp, self._keys = found
        settled = time.time_ns() - stamp.changed > SETTLED_SECONDS * 1e9
        self._stamp = stamp if settled else None
        if self.trouble:
            log.info("the key file %s can be used again", path)
            self.trouble = None

    def _fail(self, why: str) -> None:
        if why != self.trouble:
            log.warning("no key is accepted: %s", why)
        self._keys, self._stamp, self.trouble = [], None, why

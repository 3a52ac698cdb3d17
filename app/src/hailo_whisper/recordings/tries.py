"""Tries: when a recording that a server did not transcribe is sent again, and when no more."""

from collections.abc import Mapping

from .. import retry_after
from ..failure import Failure
from .stop import Stop

# A server that is full or loading says when to come again; one that is away says nothing. Both are waited for, for as long as the caller likes.
BUSY = (429, 503)
# A recording may be what its node dies of, and is not sent to one node after another for ever.
LOST, LOST_TRIES = (502, 504), 6
FLEETING, TRIES = (408, 409, 500), 3
PAUSE = 0.5
"""Seconds before the second try where the server does not say; it doubles with each."""
LONGEST_GUESS = 15.0
"""Seconds that it doubles up to."""


class Tries:
    """Those of one recording. Each method gives the seconds until the next.

    What is counted is what was waited, and not the time that the server took: a long recording has no fewer tries than a short one.
    """

    def __init__(self, url: str, patience: float) -> None:
        """`patience` is how many seconds may be waited in all for a server that is busy or away."""
        self._url, self._patience = url, patience
        self._waited = 0.0
        self._silent = self._fleeting = self._lost = self._busy = 0

    def after_silence(self, why: str, *, unsent: bool, answered: bool) -> float:
        """After a connection that could not be made (`unsent`), or that broke. Raises Stop when the server is given up.

        `answered` is whether the server has answered to anything yet.
        """
        self._silent += 1
        if not answered and self._silent >= TRIES:
            raise Stop(
                f"The server at {self._url} cannot be reached: {why}. Check the address and that it runs, then run the same again."
            )
        self._lost += not unsent
        if self._lost >= LOST_TRIES:
            raise Failure(
                f"The connection broke {LOST_TRIES} times over it, the last time with: {why}. The server's journal may say why "
                "(`journalctl -u hailo-whisper`); then run the same again."
            )
        pause = _doubled(self._silent)
        if not self._waits(pause):
            raise Stop(
                f"The server at {self._url} has been away for {self._patience:.0f} s: {why}. Have it run again, or wait longer for it with "
                "--patience; the same command goes on from there."
            )
        return pause

    def after_refusal(self, status: int, headers: Mapping[str, str], why: str) -> float | None:
        """After a reply that is no transcription; None when it is the last. Raises Stop when the server stays busy."""
        if headers.get("x-should-retry") == "false":
            return None
        said = retry_after.seconds(headers.get("retry-after", ""))
        if status in BUSY:
            self._busy += 1
            pause = said or _doubled(self._busy)
            waited = self._waited
            if not self._waits(pause):
                raise Stop(
                    f"The server at {self._url} was busy for {waited:.0f} s, and {pause:.0f} s more are longer than the {self._patience:.0f} s "
                    f"of --patience. It answers {status}: {why} Spread the load, ask for less at a time with --parallel, or wait longer with "
                    "--patience; the same command goes on from there."
                )
            return pause
        if status in LOST:
            self._lost += 1
            return self._unless(self._lost >= LOST_TRIES, said or _doubled(self._lost))
        if status in FLEETING:
            self._fleeting += 1
            return self._unless(self._fleeting >= TRIES, said or _doubled(self._fleeting))
        return None

    def _unless(self, last: bool, pause: float) -> float | None:
        """A pause, unless it was the last try, or nobody would wait so long."""
        return None if last or pause > self._patience else pause

    def _waits(self, pause: float) -> bool:
        """Count a pause. Whether there is patience for it."""
        self._waited += pause
        return self._waited <= self._patience


def _doubled(number: int) -> float:
    return min(PAUSE * 2.0**number, LONGEST_GUESS)

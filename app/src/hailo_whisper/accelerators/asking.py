"""Asking a program that may never answer: a driver that hangs holds whoever asks it, and what it holds cannot be killed."""

import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass

# Without -P, Python would import from the folder that its user stands in, which may be a stranger's, and the user may be root.
PYTHON = (sys.executable, "-P")
"""Starts this program's Python."""


@dataclass(frozen=True)
class Answer:
    """How a program ended, and what it wrote."""

    status: int
    out: str
    err: str

    @property
    def last_line(self) -> str:
        """The last line of what it wrote; empty when it wrote nothing."""
        return next(reversed(self.out.strip().splitlines()), "")

    @property
    def last_words(self) -> str:
        """The last line of its complaints; empty when it had none."""
        return next(reversed(self.err.strip().splitlines()), "")


def asked(argv: Sequence[str], seconds: float) -> Answer | None:
    """The answer of a program, or None when it did not end within so many seconds. Takes no longer than that, whatever becomes of it."""
    program = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
    )
    try:
        out, err = program.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        program.kill()
        # Not waited for, as subprocess.run would: it ends when the driver lets go of it, if ever.
        threading.Thread(target=program.communicate, daemon=True).start()
        return None
    except BaseException:
        program.kill()
        raise
    return Answer(program.returncode, out, err)

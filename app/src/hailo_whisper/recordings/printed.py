"""Results on standard output instead of in files."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from ..formats import FORMATS, JSON
from ..speech.transcript import Transcript
from .sources import Source
from .stop import Stop


class Printed:
    """Prints each transcript when it is done. Of several, each has its name: in a line above as tail(1) has it, or in its JSON."""

    def __init__(self, format_name: str, *, several: bool) -> None:
        self._render, self._content_type = FORMATS[format_name]
        self._several = several

    def prepare(self, source: Source) -> None:
        """Nothing is to be prepared."""

    def write(self, source: Source, transcript: Transcript) -> Sequence[Path]:
        """Print it. Raises Stop when nobody takes it."""
        text = self._render(transcript).rstrip("\n")
        if self._several and self._content_type == JSON:
            text = json.dumps({"file": str(source.path)} | json.loads(text), ensure_ascii=False)
        elif self._several:
            text = f"==> {source.path} <==\n{text}"
        try:
            # At once, so that two that are done at the same time do not mix.
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()
        except OSError as error:
            raise Stop(
                f"Standard output takes no more: {error.strerror}. Let it be read to its end, or leave out --stdout."
            ) from None
        return []

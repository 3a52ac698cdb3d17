"""How long a source is waited for, and how often it is asked again."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Patience:
    """Times are in seconds. `tries` in a row may bring nothing; `pause` is the first one between them, and doubles."""

    connect: float = 10.0
    stall: float = 30.0
    tries: int = 5
    pause: float = 1.0
    longest_pause: float = 120.0
    parallel: int = 4

    def stretched(self, environ: Mapping[str, str] = os.environ) -> "Patience":
        """The same, but no less than what the variables of huggingface_hub grant a slow line."""
        return replace(
            self,
            connect=max(self.connect, _seconds(environ, "HF_HUB_ETAG_TIMEOUT")),
            stall=max(self.stall, _seconds(environ, "HF_HUB_DOWNLOAD_TIMEOUT")),
        )

    def pause_after(self, vain: int) -> float:
        """Seconds to wait after so many tries in a row that brought nothing."""
        return min(self.pause * 2.0 ** max(vain - 1, 0), self.longest_pause)


def _seconds(environ: Mapping[str, str], name: str) -> float:
    value = environ.get(name, "")
    return float(value) if value.isdigit() else 0.0

"""What an accelerator lacks, and what mends it: two parts, since who tells it may put them in different places."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Lack:
    """Both are parts of sentences; an empty `cure` says that there is none to be named."""

    what: str
    cure: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.cure}" if self.cure else self.what

    @property
    def advice(self) -> str:
        """The cure as a sentence; empty when there is none."""
        return f"{self.cure[0].upper()}{self.cure[1:]}." if self.cure else ""

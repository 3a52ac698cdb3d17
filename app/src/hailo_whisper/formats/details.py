"""Details: what a transcript in a JSON form is to hold beside its text."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Details:
    """By default as the original does it when nothing is asked for. Formats without the detail take no notice of it."""

    task: Literal["transcribe", "translate"] = "transcribe"
    """Of a translation, the text is English whatever was spoken."""
    segments: bool = True
    words: bool = False
    logprobs: bool = False


DEFAULT = Details()

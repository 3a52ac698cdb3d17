"""The transcript as bare text."""

from ..speech.transcript import Transcript
from .characters import printable
from .details import DEFAULT, Details


def text(transcript: Transcript, _: Details = DEFAULT) -> str:
    """All the words, and a newline as the original ends with."""
    return f"{printable(transcript.text)}\n"

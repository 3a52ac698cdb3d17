"""The transcript as bare text."""

from ..speech.transcript import Transcript


def text(transcript: Transcript) -> str:
    """All the words, and a newline as the original ends with."""
    return f"{transcript.text}\n"

"""Formats: a transcript as json, verbose_json, srt, vtt, text or events. Pure functions; the shapes are those of the OpenAI contract."""

from typing import NamedTuple, Protocol

from ..speech.transcript import Transcript
from . import plain, structured, subtitles
from .details import DEFAULT, Details

__all__ = ["DEFAULT", "FORMATS", "JSON", "PLAIN", "Details", "Format", "Render"]

JSON = "application/json"
PLAIN = "text/plain; charset=utf-8"


class Render(Protocol):
    """What makes a form of a transcript."""

    def __call__(self, transcript: Transcript, details: Details = ..., /) -> str:
        """The whole reply."""
        ...


class Format(NamedTuple):
    """A form and the content type of it."""

    render: Render
    content_type: str


FORMATS: dict[str, Format] = {
    "json": Format(structured.json_text, JSON),
    "text": Format(plain.text, PLAIN),
    "srt": Format(subtitles.srt, PLAIN),
    "verbose_json": Format(structured.verbose_json_text, JSON),
    "vtt": Format(subtitles.vtt, PLAIN),
}
"""By its name in `response_format`."""

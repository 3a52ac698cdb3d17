"""Formats: a transcript as json, verbose_json, text, srt or vtt. Pure functions; the shapes are those of the OpenAI contract."""

from collections.abc import Callable

from ..speech.transcript import Transcript
from . import plain, structured, subtitles

JSON = "application/json"
PLAIN = "text/plain; charset=utf-8"

FORMATS: dict[str, tuple[Callable[[Transcript], str], str]] = {
    "json": (structured.json_text, JSON),
    "text": (plain.text, PLAIN),
    "srt": (subtitles.srt, PLAIN),
    "verbose_json": (structured.verbose_json_text, JSON),
    "vtt": (subtitles.vtt, PLAIN),
}
"""By its name in `response_format`: the function and the content type."""

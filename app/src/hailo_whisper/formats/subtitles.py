"""The transcript as subtitles: SubRip and WebVTT (https://www.w3.org/TR/webvtt1/).

A cue is a segment, on one line however long, as the original and Whisper's own writer have it: players break lines to fit, and
whoever wants others has word timestamps to make them from.
"""

import re

from ..speech.transcript import Segment, Transcript
from .characters import printable
from .details import DEFAULT, Details


def srt(transcript: Transcript, _: Details = DEFAULT) -> str:
    """SubRip: cues numbered from 1, times as 00:00:00,000."""
    return "".join(f"{number}\n{_times(segment, ',')}\n{cue}\n\n" for number, (segment, cue) in enumerate(_cues(transcript), 1))


def vtt(transcript: Transcript, _: Details = DEFAULT) -> str:
    """WebVTT: a header, then cues with times as 00:00:00.000."""
    cues = "".join(f"{_times(segment, '.')}\n{_escaped(cue)}\n\n" for segment, cue in _cues(transcript))
    return f"WEBVTT\n\n{cues}"


def _cues(transcript: Transcript) -> list[tuple[Segment, str]]:
    """Every segment that has words, and the line to show: an empty line would end its cue, an arrow begin another's times."""
    lines = ((segment, re.sub("--+>", "->", " ".join(printable(segment.text).split()))) for segment in transcript.segments)
    return [(segment, line) for segment, line in lines if line]


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _times(segment: Segment, mark: str) -> str:
    start, end = (round(seconds * 1000) for seconds in (segment.start, segment.end))
    # A cue that is over when it begins is never shown.
    return f"{_time(start, mark)} --> {_time(max(end, start + 1), mark)}"


def _time(milliseconds: int, mark: str) -> str:
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}{mark}{milliseconds % 1000:03}"

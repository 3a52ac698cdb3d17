"""The transcript as subtitles: SubRip and WebVTT (https://www.w3.org/TR/webvtt1/)."""

import re

from ..speech.transcript import Segment, Transcript


def srt(transcript: Transcript) -> str:
    """SubRip: cues numbered from 1, times as 00:00:00,000."""
    return "".join(
        f"{number}\n{_time(segment.start, ',')} --> {_time(segment.end, ',')}\n{cue}\n\n"
        for number, (segment, cue) in enumerate(_cues(transcript), 1)
    )


def vtt(transcript: Transcript) -> str:
    """WebVTT: a header, then cues with times as 00:00:00.000."""
    cues = "".join(
        f"{_time(segment.start, '.')} --> {_time(segment.end, '.')}\n{_escaped(cue)}\n\n" for segment, cue in _cues(transcript)
    )
    return f"WEBVTT\n\n{cues}"


def _cues(transcript: Transcript) -> list[tuple[Segment, str]]:
    """Every segment that has words, and the line to show: an empty line would end its cue, an arrow begin another's times."""
    lines = ((segment, re.sub("--+>", "->", " ".join(segment.text.split()))) for segment in transcript.segments)
    return [(segment, line) for segment, line in lines if line]


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _time(seconds: float, mark: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}{mark}{milliseconds % 1000:03}"

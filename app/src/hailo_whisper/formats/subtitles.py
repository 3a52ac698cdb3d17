"""The transcript as subtitles: SubRip and WebVTT (https://www.w3.org/TR/webvtt1/)."""

from ..speech.transcript import Segment, Transcript


def srt(transcript: Transcript) -> str:
    """SubRip: cues numbered from 1, times as 00:00:00,000."""
    return "".join(
        f"{number}\n{_time(segment.start, ',')} --> {_time(segment.end, ',')}\n{_cue(segment)}\n\n"
        for number, segment in enumerate(transcript.segments, 1)
    )


def vtt(transcript: Transcript) -> str:
    """WebVTT: a header, then cues with times as 00:00:00.000."""
    cues = "".join(
        f"{_time(segment.start, '.')} --> {_time(segment.end, '.')}\n{_escaped(_cue(segment))}\n\n"
        for segment in transcript.segments
    )
    return f"WEBVTT\n\n{cues}"


def _cue(segment: Segment) -> str:
    # An arrow inside a cue would be read as the times of another one.
    return segment.text.strip().replace("-->", "->")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _time(seconds: float, mark: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}{mark}{milliseconds % 1000:03}"

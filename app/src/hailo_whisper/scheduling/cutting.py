"""What the settings say of speech and windows, in the terms of the stations: for the server and the command line alike."""

from ..settings import Vad, Windows
from ..speech.detection import Detection
from ..speech.windows import Rules


def detection(vad: Vad) -> Detection | None:
    """What counts as speech; None: everything."""
    return Detection(vad.threshold, vad.min_speech_ms / 1000, vad.min_silence_ms / 1000) if vad.enabled else None


def padding(vad: Vad) -> float:
    """Seconds that are kept around speech; where all counts as speech there is no silence to keep."""
    return vad.speech_pad_ms / 1000 if vad.enabled else 0.0


def rules(windows: Windows, engine: float, pad: float) -> Rules:
    """How windows are cut for an engine that takes up to `engine` seconds, with `pad` seconds around speech."""
    longest = min(windows.longest_seconds, engine)
    return Rules(longest, windows.longest_pause_seconds, min(pad, longest / 4))


def longest_span(rules: Rules) -> float:
    """Seconds of speech without a pause that fit into a window with their padding."""
    return rules.longest - 2 * rules.pad

"""The decoder's process (its handle is speech.decoder): bytes of any supported format in, a waveform out.

It reads what strangers send, so it is a child (service.child) with limits on its memory, and only the demuxers of the
formats that are promised: a playlist or a concat script, which would make libav open other files, is not among them.
"""

import fcntl
import os
import resource
from collections.abc import Sequence
from typing import Any

import av
import av.error
import numpy as np

from ..service import child
from . import detection
from .waveform import RATE, Waveform
from .windows import Span

FORMATS = ("flac", "m4a", "mp3", "mp4", "mpeg", "mpga", "oga", "ogg", "wav", "webm")
# libav's names of the demuxers that read them, by content: the name of the file is never looked at.
DEMUXERS = "aac,flac,matroska,mov,mp3,mpeg,ogg,wav"
MIN_SECONDS = 0.1
# Address space, of which libav and NumPy map some 600 MB before they read a byte. Waveforms are written, not mapped.
MEMORY = 3 * 1024**3


class Refused(Exception):
    """The media cannot be transcribed. `code` is that of the OpenAI contract, or None."""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


def decode(fd: int, max_seconds: float) -> Waveform:
    """Decode the first audio stream of the media in `fd` (a descriptor of bytes) to a waveform, stereo mixed down.

    What was damaged or cut off is left out, and the rest is kept, as players do. Raises Refused with a sentence.
    """
    if not os.fstat(fd).st_size:
        raise Refused("The audio file is empty. Send the recording's bytes in the field `file`.")
    os.lseek(fd, 0, os.SEEK_SET)
    waveform = Waveform.of(np.zeros(0, np.float32))
    try:
        with open(fd, "rb", closefd=False) as stream:
            _decode(stream, waveform, max_seconds)
        if waveform.duration < MIN_SECONDS:
            raise Refused(f"Audio file is too short. Minimum audio length is {MIN_SECONDS} seconds.", "audio_too_short")
    except BaseException:
        waveform.close()
        raise
    return waveform


def _decode(stream: Any, waveform: Waveform, max_seconds: float) -> None:
    try:
        container = av.open(stream, mode="r", options={"format_whitelist": DEMUXERS})
    except (av.error.FFmpegError, ValueError):
        raise Refused(f"Invalid file format. Supported formats: {list(FORMATS)}") from None
    with container:
        if not container.streams.audio:
            raise Refused("The file has no audio track. Send a recording with sound.")
        # In 16 bits libav mixes stereo down to the mean; in floats to more than that, and beyond -1..1.
        resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
        packets = container.demux(container.streams.audio[0])
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    break
                frames = [out for frame in packet.decode() for out in resampler.resample(_untimed(frame))]
            except av.error.EOFError:
                break
            except (av.error.FFmpegError, ValueError):
                continue
            _append(waveform, frames, max_seconds)
        _append(waveform, resampler.resample(None), max_seconds)
    if not waveform.length:
        raise Refused("Audio file might be corrupted or unsupported. Check that it plays, and send it again.")


def _untimed(frame: Any) -> Any:
    # Broken or jumping timestamps make the resampler refuse or pad; the samples themselves are what counts.
    frame.pts = None
    return frame


def _append(waveform: Waveform, frames: Sequence[Any], max_seconds: float) -> None:
    for frame in frames:
        waveform.append(frame.to_ndarray().reshape(-1).astype(np.float32) / np.float32(32768))
    if waveform.duration > max_seconds:
        raise Refused(
            f"The audio is longer than {max_seconds:.0f} seconds, the longest that this server takes. "
            "Send it in parts, or raise limits.duration_seconds.",
            "audio_too_long",
        )


def speech(waveform: Waveform, wanted: detection.Detection | None, longest: float) -> list[Span]:
    """The speech in a waveform, no span longer than `longest` seconds. Without a detection all of it counts as speech."""
    whole = [Span(0, waveform.length)]
    if wanted is None and waveform.duration <= longest:
        return whole
    found = detection.stream(waveform.blocks())
    if wanted is None:
        return detection.split(whole, found, longest)
    return detection.spans(found, waveform.length, wanted, longest)


def _handle(message: child.Message) -> tuple[dict[str, Any], list[int]]:
    data = message.data
    try:
        waveform = decode(message.fds[0], float(data["max_seconds"]))
    except Refused as refusal:
        return {"refused": str(refusal), "code": refusal.code}, []
    try:
        fcntl.fcntl(waveform.fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        wanted = detection.Detection(**data["detection"]) if data["detection"] else None
        found = speech(waveform, wanted, data["longest"])
    except BaseException:
        waveform.close()
        raise
    return {"length": waveform.length, "speech": [(span.start, span.end) for span in found]}, [waveform.fd]


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    child.serve(_handle)

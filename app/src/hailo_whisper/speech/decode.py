"""The decoder's process (its handle is speech.decoder): bytes of any supported format in, a waveform and its speech out.

It reads what strangers send, so it is a child (service.child) in a sandbox (service.sandbox), and only the demuxers of the
formats that are promised: a playlist or a concat script, which would make libav open other files, is not among them.
"""

import fcntl
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

# One thread is enough, and the sandbox must come before there are more.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from ..service import child, sandbox
from ..service.channel import Message
from . import detection
from .waveform import RATE, Samples, Waveform, memory
from .windows import Span

FORMATS = ("flac", "m4a", "mp3", "mp4", "mpeg", "mpga", "oga", "ogg", "wav", "webm")
# libav's names of the demuxers that read them, by content: the name of the file is never looked at.
DEMUXERS = "aac,flac,matroska,mov,mp3,mpeg,ogg,wav"
MIN_SECONDS = 0.1
# Address space, of which the libraries map some 300 MB before they read a byte. Waveforms are written, not mapped whole.
MEMORY = 2 * 1024**3
# The channel, standard input, output and error, the media, the waveform, and a few to spare.
DESCRIPTORS = 32
# CPU time that each minute of sound may take, decoded or searched for speech. A slow machine takes about 1 s for it.
CPU_SECONDS = 10.0

Decode = Callable[[int, float, Callable[[], None]], Waveform]


class Refused(Exception):
    """The media cannot be transcribed. `code` is that of the OpenAI contract, or None."""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


def decode(fd: int, max_seconds: float, progress: Callable[[], None] = lambda: None) -> Waveform:
    """Decode the first audio stream of the media in `fd` (a descriptor of bytes) to a waveform, stereo mixed down.

    What was damaged or cut off is left out, and the rest is kept, as players do; what is no number becomes silence.
    `progress` is called after each minute of sound. Raises Refused with a sentence.
    """
    if not os.fstat(fd).st_size:
        raise Refused("The audio file is empty. Send the recording's bytes in the field `file`.")
    os.lseek(fd, 0, os.SEEK_SET)
    waveform = Waveform.of(np.zeros(0, np.float32))
    try:
        with open(fd, "rb", closefd=False) as stream:
            _decode(stream, waveform, max_seconds, progress)
        if waveform.duration < MIN_SECONDS:
            raise Refused(f"Audio file is too short. Minimum audio length is {MIN_SECONDS} seconds.", "audio_too_short")
    except BaseException:
        waveform.close()
        raise
    return waveform


def _decode(stream: Any, waveform: Waveform, max_seconds: float, progress: Callable[[], None]) -> None:
    options = {"format_whitelist": DEMUXERS}
    if os.pread(stream.fileno(), 4, 0) == b"RIFF":
        # Its header says what is in it; libav would otherwise look through megabytes for something else in disguise.
        options["probesize"] = "8192"
    if _says_too_little(stream.fileno()):
        options["ignore_length"] = "1"
    try:
        container = av.open(stream, mode="r", options=options)
    except (av.error.FFmpegError, ValueError):
        raise Refused(f"Invalid file format. Supported formats: {list(FORMATS)}") from None
    with container:
        if not container.streams.audio:
            raise Refused("The file has no audio track. Send a recording with sound.")
        # In 16 bits libav mixes stereo down to the mean; in floats to more than that, and beyond -1..1.
        resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
        packets = container.demux(container.streams.audio[0])
        writer = _Writer(waveform, max_seconds)
        minutes = 0
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    break
                for frame in packet.decode():
                    writer.add(resampler.resample(_clean(frame)))
            except av.error.EOFError:
                break
            except (av.error.FFmpegError, ValueError):
                continue
            if writer.seconds // 60 > minutes:
                minutes = int(writer.seconds // 60)
                progress()
        writer.add(resampler.resample(None))
        writer.flush()
    if not waveform.length:
        raise Refused("Audio file might be corrupted or unsupported. Check that it plays, and send it again.")


def _says_too_little(fd: int) -> bool:
    """Whether a WAV file holds sound behind the end that its header tells of, as recorders leave it that were cut off.

    What follows the sound in a sound file is other chunks, each a name of four letters and a size that the file has room for.
    """
    size = os.fstat(fd).st_size
    if os.pread(fd, 4, 0) != b"RIFF" or os.pread(fd, 4, 8) != b"WAVE":
        return False
    at, sound = 12, False
    # As many chunks as any real file has; a file of millions of empty ones is not worth the time.
    for _ in range(64):
        header = os.pread(fd, 8, at)
        if not sound and len(header) < 8:
            return False
        if len(header) < 8 and at >= size - 1:
            return False
        name, length = header[:4], int.from_bytes(header[4:8], "little")
        if sound and (len(header) < 8 or not name.isascii() or not name.decode().isprintable() or at + 8 + length > size):
            return True
        if name == b"data":
            if length in (0, 0xFFFFFFFF):
                # As streams have it: libav itself reads to the end.
                return False
            sound = True
        # Chunks begin at even places.
        at += 8 + length + length % 2
    return False


def _clean(frame: Any) -> Any:
    """The frame as the resampler can take it."""
    # Broken or jumping timestamps make the resampler refuse or pad; the samples themselves are what counts.
    frame.pts = None
    kind = {"flt": np.float32, "dbl": np.float64}.get(frame.format.name.removesuffix("p"))
    for plane in frame.planes if kind else ():
        samples = np.frombuffer(plane, kind)
        # What is no number makes the maximum none either. As an integer it would be a click of full strength.
        if not np.abs(samples).max(initial=0) <= 1:
            np.nan_to_num(samples, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
            np.clip(samples, -1, 1, out=samples)
    return frame


class _Writer:
    """Puts frames into a waveform, a second at a time: one by one they would take longer than decoding them."""

    def __init__(self, waveform: Waveform, max_seconds: float) -> None:
        self._waveform = waveform
        self._max_seconds = max_seconds
        self._held: list[NDArray[np.int16]] = []
        self._length = 0

    @property
    def seconds(self) -> float:
        """What was added until now."""
        return (self._waveform.length + self._length) / RATE

    def add(self, frames: Sequence[Any]) -> None:
        """Add frames of 16 bit. Raises Refused when they make it too long."""
        for frame in frames:
            self._length += frame.samples
            if self.seconds > self._max_seconds:
                raise Refused(
                    f"The audio is longer than {self._max_seconds:.0f} seconds, the longest that this server takes. "
                    "Send it in parts, or raise limits.duration_seconds.",
                    "audio_too_long",
                )
            self._held.append(frame.to_ndarray().reshape(-1))
        if self._length >= RATE:
            self.flush()

    def flush(self) -> None:
        """Write what is held."""
        if self._held:
            self._waveform.append(np.concatenate(self._held) * np.float32(1 / 32768))
            self._held, self._length = [], 0


def speech(
    waveform: Waveform, wanted: detection.Detection | None, longest: float, progress: Callable[[], None] = lambda: None
) -> list[Span]:
    """The speech in a waveform, no span longer than `longest` seconds. Without a detection all of it counts as speech."""
    whole = [Span(0, waveform.length)]
    if wanted is None and waveform.duration <= longest:
        return whole
    found = detection.stream(_telling(waveform.blocks(), progress))
    if wanted is None:
        return detection.split(whole, found, longest)
    return detection.spans(found, waveform.length, wanted, longest)


def _telling(blocks: Iterator[Samples], progress: Callable[[], None]) -> Iterator[Samples]:
    for block in blocks:
        progress()
        yield block


def _answer(message: Message, decoding: Decode) -> tuple[dict[str, Any], list[int]]:
    data = message.data

    def progress() -> None:
        sandbox.limit_cpu(CPU_SECONDS)

    progress()
    try:
        waveform = decoding(message.fds[0], float(data["max_seconds"]), progress)
    except Refused as refusal:
        return {"refused": str(refusal), "code": refusal.code}, []
    try:
        fcntl.fcntl(waveform.fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        wanted = detection.Detection(**data["detection"]) if data["detection"] else None
        found = speech(waveform, wanted, data["longest"], progress)
    except BaseException:
        waveform.close()
        raise
    return {"length": waveform.length, "speech": [(span.start, span.end) for span in found]}, [waveform.fd]


def run(decoding: Decode = decode) -> None:
    """Be the decoder's process. `decoding` is another function in tests only."""
    sandbox.limit(MEMORY, DESCRIPTORS)
    # What is loaded when it is first used must be loaded now: later there are no files to load it from.
    fd = memory("silence", _SILENCE)
    with decode(fd, 1.0) as waveform:
        detection.stream(waveform.blocks())
    os.close(fd)
    shut_in = sandbox.enter()

    def handle(message: Message) -> tuple[dict[str, Any], list[int]]:
        said, fds = _answer(message, decoding)
        return {**said, "shut_in": shut_in}, fds

    child.serve(handle)


# A WAV file of 0.2 s without a sound.
_SILENCE = (
    b"RIFF"
    + struct.pack("<I4s4sIHHIIHH4sI", 6436, b"WAVE", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16, b"data", 6400)
    + bytes(6400)
)

if __name__ == "__main__":
    run()

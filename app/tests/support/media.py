"""The package's clip in other formats, by PyAV, and other things that people send."""

import io
import wave
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from hailo_whisper.engines.warm_up import clip

# By the usual ending of their names: libav's container and encoder.
ENCODINGS = {
    "flac": ("flac", "flac"),
    "mp3": ("mp3", "libmp3lame"),
    "ogg": ("ogg", "libopus"),
    "oga": ("ogg", "flac"),
    "webm": ("webm", "libopus"),
    "mp4": ("mp4", "aac"),
    "aac": ("adts", "aac"),
    "wav24": ("wav", "pcm_s24le"),
}

# Sound all right, but in a container that is not promised; every demuxer more is one more that strangers can attack.
NOT_PROMISED = {"aiff": ("aiff", "pcm_s16be"), "avi": ("avi", "pcm_s16le")}

HLS_PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
CONCAT_SCRIPT = b"ffconcat version 1.0\nfile /etc/passwd\nduration 10\n"


def encoded(kind: str, media: bytes | None = None) -> bytes:
    """The clip, or another WAV file, as `kind` of ENCODINGS or NOT_PROMISED."""
    container, codec = (ENCODINGS | NOT_PROMISED)[kind]
    stream = io.BytesIO()
    rate = 48000 if codec == "libopus" else 16000
    with av.open(io.BytesIO(media or clip()), "r") as source, av.open(stream, "w", format=container) as target:
        # PyAV's types do not tell a stream of sound from one of pictures.
        track: Any = target.add_stream(codec, rate=rate)
        track.layout = "mono"
        resampler = av.AudioResampler(format=track.format, layout="mono", rate=rate, frame_size=track.frame_size or 0)
        for frame in [*source.decode(audio=0), None]:
            for part in resampler.resample(frame):
                target.mux(track.encode(part))
        target.mux(track.encode(None))
    return stream.getvalue()


def wav(samples: NDArray[np.int16], rate: int = 16000) -> bytes:
    """A WAV file of samples, of shape (n,) or (n, channels)."""
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return stream.getvalue()


def silence(seconds: float, rate: int = 16000) -> bytes:
    """A WAV file without a sound."""
    return wav(np.zeros(round(seconds * rate), np.int16), rate)


def picture() -> bytes:
    """An MP4 file with a picture and no sound."""
    stream = io.BytesIO()
    with av.open(stream, "w", format="mp4") as target:
        track: Any = target.add_stream("mpeg4", rate=10)
        track.width = track.height = 64
        track.pix_fmt = "yuv420p"
        for _ in range(10):
            target.mux(track.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8))))
        target.mux(track.encode(None))
    return stream.getvalue()

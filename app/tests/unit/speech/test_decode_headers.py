"""Headers that lie about how much there is, and samples that are no sound: what is there counts."""

import os
import struct

import media
import numpy as np
import pytest
from numpy.typing import NDArray

from hailo_whisper.speech import decode
from hailo_whisper.speech.waveform import RATE, Samples, memory


def decoded(content: bytes) -> Samples:
    fd = memory("media", content)
    try:
        with decode.decode(fd, 3600) as waveform:
            return waveform.samples().copy()
    finally:
        os.close(fd)


def floats(samples: NDArray[np.float32], bits: int = 32) -> bytes:
    data = samples.astype(f"<f{bits // 8}").tobytes()
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 3, 1, RATE, RATE * bits // 8, bits // 8, bits)
    return b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVE" + form + b"data" + struct.pack("<I", len(data)) + data


def lying(wav: bytes, said: int, behind: bytes = b"") -> bytes:
    return wav[:40] + struct.pack("<I", said) + wav[44:] + behind


@pytest.mark.parametrize("said", [0, 2, 3200, 16001, 200_000_000, 0xFFFFFFFF, 0x7FFFFFFF])
def test_the_size_in_a_wav_header_may_be_any(clip_wav: bytes, said: int) -> None:
    assert len(decoded(lying(clip_wav, said))) == pytest.approx(len(decoded(clip_wav)), abs=2)


@pytest.mark.parametrize("behind", [b"LIST\x04\0\0\0abcd", b"id3 \x03\0\0\0abc\0", b"\0"])
def test_what_follows_the_sound_is_no_sound(clip_wav: bytes, behind: bytes) -> None:
    said = len(clip_wav) - 44
    assert len(decoded(lying(clip_wav, said, behind))) == len(decoded(clip_wav))


def test_the_size_of_the_whole_may_be_any(clip_wav: bytes) -> None:
    for said in (0, 100, 0xFFFFFFFF):
        assert len(decoded(clip_wav[:4] + struct.pack("<I", said) + clip_wav[8:])) == len(decoded(clip_wav))


@pytest.mark.parametrize("total", [0, 1, 1 << 35])
def test_the_length_in_a_flac_header_may_be_any(total: int) -> None:
    flac = bytearray(media.encoded("flac"))
    at = flac.index(b"fLaC") + 8 + 13
    flac[at] = flac[at] & 0xF0 | total >> 32
    flac[at + 1 : at + 5] = (total & 0xFFFFFFFF).to_bytes(4, "big")
    assert len(decoded(bytes(flac))) / RATE == pytest.approx(5.3, abs=0.1)


@pytest.mark.parametrize("bits", [32, 64])
def test_what_is_no_number_is_silence_and_what_is_too_loud_is_clipped(bits: int) -> None:
    sound = np.full(RATE, 0.25, np.float32)
    sound[1000:1100], sound[2000:2100], sound[3000:3100] = np.nan, np.inf, -np.inf
    sound[4000:4100], sound[5000:5100], sound[6000:6100] = 7.0, -1e30, 1e30
    heard = decoded(floats(sound, bits))
    assert len(heard) == RATE
    assert np.isfinite(heard).all()
    for at, value in ((500, 0.25), (1000, 0), (2000, 0), (3000, 0), (4000, 1), (5000, -1), (6000, 1)):
        assert heard[at : at + 100] == pytest.approx(value, abs=1e-3)


def test_sound_of_a_hertz_does_not_fill_the_memory() -> None:
    wav = bytearray(media.silence(600))
    wav[24:32] = struct.pack("<II", 1, 2)
    with pytest.raises(decode.Refused):
        decoded(bytes(wav))

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import media
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hailo_whisper.speech import decode
from hailo_whisper.speech.decode import Refused
from hailo_whisper.speech.waveform import RATE, Samples, Waveform, memory

LONG = 3600.0


@contextmanager
def decoding(content: bytes, max_seconds: float = LONG) -> Iterator[Waveform]:
    fd = memory("media", content)
    try:
        with decode.decode(fd, max_seconds) as waveform:
            yield waveform
    finally:
        os.close(fd)


def _refusal(content: bytes, max_seconds: float = LONG) -> Refused:
    with pytest.raises(Refused) as caught, decoding(content, max_seconds):
        pass
    return caught.value


@pytest.fixture(scope="module")
def original(clip_wav: bytes) -> Samples:
    return np.frombuffer(clip_wav[44:], "<i2").astype(np.float32) / np.float32(32768)


def test_wav_is_decoded_to_the_very_samples(clip_wav: bytes, original: Samples) -> None:
    with decoding(clip_wav) as waveform:
        assert np.allclose(waveform.samples(), original, atol=1e-6)


@pytest.mark.parametrize("kind", media.ENCODINGS)
def test_every_format_is_the_same_sound(kind: str, original: Samples) -> None:
    with decoding(media.encoded(kind)) as waveform:
        samples = waveform.samples()
    assert len(samples) / RATE == pytest.approx(5.3, abs=0.15)
    # Encoders put some silence in front: the best correlation over the shifts says whether it is the same sound.
    size = len(samples) + len(original)
    spectrum = np.fft.rfft(samples, size) * np.conj(np.fft.rfft(original, size))
    correlation = np.fft.irfft(spectrum).max() / (np.linalg.norm(samples) * np.linalg.norm(original))
    assert correlation > 0.9


def test_stereo_is_mixed_down_and_resampled() -> None:
    left = (np.sin(np.arange(48000) * 2 * np.pi * 440 / 48000) * 20000).astype(np.int16)
    with decoding(media.wav(np.stack([left, np.zeros_like(left)], axis=1), 48000)) as waveform:
        assert waveform.duration == pytest.approx(1.0, abs=0.01)
        samples = waveform.samples()
    assert np.abs(np.fft.rfft(samples)).argmax() / waveform.duration == pytest.approx(440, abs=2)
    assert np.abs(samples[1000:-1000]).max() == pytest.approx(20000 / 32768 / 2, rel=0.05)
    loud = np.where(np.arange(48000) // 50 % 2, 32767, -32768).astype(np.int16)
    with decoding(media.wav(np.stack([loud, loud], axis=1), 48000)) as waveform:
        assert np.abs(waveform.samples()).max() <= 1


def test_empty() -> None:
    assert str(_refusal(b"")) == "The audio file is empty. Send the recording's bytes in the field `file`."


@pytest.mark.parametrize(
    "content",
    [
        b"This is a letter and not a sound.\n" * 50,
        b"\0" * 5000,
        media.HLS_PLAYLIST,
        media.CONCAT_SCRIPT,
        b"RIFF",
        media.encoded("aiff"),
        media.encoded("avi"),
    ],
    ids=["text", "zeros", "playlist", "concat script", "stub", "aiff", "avi"],
)
def test_what_is_no_media_of_ours(content: bytes) -> None:
    said = str(_refusal(content))
    assert said.startswith("Invalid file format. Supported formats: ['flac', 'm4a', 'mp3'")


def test_a_playlist_opens_no_other_file(tmp_path: object) -> None:
    """The sound that it names is really there, so that only the refusal keeps it from being opened."""
    path = f"{tmp_path}/secret.wav"
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(media.silence(2.0))
    for script in (media.HLS_PLAYLIST, media.CONCAT_SCRIPT):
        assert "Invalid file format" in str(_refusal(script.replace(b"/etc/passwd", path.encode())))


def test_no_sound_track() -> None:
    assert str(_refusal(media.picture())) == "The file has no audio track. Send a recording with sound."


def test_too_short() -> None:
    refusal = _refusal(media.silence(0.05))
    assert str(refusal) == "Audio file is too short. Minimum audio length is 0.1 seconds."
    assert refusal.code == "audio_too_short"
    with decoding(media.silence(0.1)) as waveform:
        assert waveform.duration == pytest.approx(0.1)


def test_too_long() -> None:
    refusal = _refusal(media.silence(11), max_seconds=10)
    assert str(refusal).startswith("The audio is longer than 10 seconds, the longest that this server takes.")
    assert refusal.code == "audio_too_long"
    with decoding(media.silence(10), max_seconds=10) as waveform:
        assert waveform.duration == 10


@pytest.mark.parametrize("kind", ["mp3", "flac", "ogg", "webm", "aac"])
def test_half_a_file_is_decoded_as_far_as_it_goes(kind: str) -> None:
    whole = media.encoded(kind)
    with decoding(whole[: len(whole) // 2]) as waveform:
        assert 1.5 < waveform.duration < 4.0


@pytest.mark.parametrize("kind", ["mp3", "flac", "ogg", "webm", "mp4"])
def test_a_stub_of_a_file_is_refused(kind: str) -> None:
    assert str(_refusal(media.encoded(kind)[:200])).endswith((".", "]"))


def test_an_mp4_whose_index_was_cut_off() -> None:
    whole = media.encoded("mp4")
    assert "Invalid file format" in str(_refusal(whole[: len(whole) // 2]))


def test_damage_in_the_middle_costs_only_itself() -> None:
    whole = bytearray(media.encoded("mp3"))
    whole[4000:6000] = b"\x55" * 2000
    with decoding(bytes(whole)) as waveform:
        assert 3.0 < waveform.duration < 5.6


@given(st.data())
def test_any_damage_gives_sound_or_a_refusal(mp3: bytes, data: st.DataObject) -> None:
    damaged = bytearray(mp3)
    for _ in range(data.draw(st.integers(1, 8))):
        start = data.draw(st.integers(0, len(damaged) - 1))
        chunk = data.draw(st.binary(max_size=64))
        damaged[start : start + len(chunk)] = chunk
    try:
        with decoding(bytes(damaged)) as waveform:
            assert waveform.duration < 20
    except Refused:
        pass


@pytest.fixture(scope="module")
def mp3() -> bytes:
    return media.encoded("mp3")[:6000]


def test_a_refusal_leaks_no_descriptor(open_fds: Callable[[], int]) -> None:
    _refusal(media.silence(0.05))
    before = open_fds()
    for content in (b"", b"text", media.silence(0.05), media.picture()):
        _refusal(content)
    assert open_fds() == before

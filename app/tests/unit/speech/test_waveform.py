import fcntl
import os
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hailo_whisper.speech.waveform import RATE, Waveform, memory

SOUND = np.linspace(-1, 1, RATE, dtype=np.float32)


@given(st.lists(arrays.arrays(np.float32, st.integers(0, 500), elements=st.floats(-1, 1, width=32)), max_size=5))
def test_what_is_appended_is_read(parts: list[np.ndarray[tuple[int], np.dtype[np.float32]]]) -> None:
    with Waveform.of(np.zeros(0, np.float32)) as waveform:
        for part in parts:
            waveform.append(part)
        assert np.array_equal(waveform.samples(), np.concatenate([np.zeros(0, np.float32), *parts]))
        assert waveform.duration == sum(map(len, parts)) / RATE


def test_samples_outlive_the_waveform_and_cannot_be_written() -> None:
    with Waveform.of(SOUND) as waveform:
        samples = waveform.samples()
    assert np.array_equal(samples, SOUND)
    with pytest.raises(ValueError, match="read-only"):
        samples[0] = 0


def test_closing_gives_the_descriptor_back_once(open_fds: Callable[[], int]) -> None:
    before = open_fds()
    waveform = Waveform.of(SOUND)
    assert open_fds() == before + 1
    waveform.close()
    waveform.close()
    assert open_fds() == before


def test_the_memory_has_no_name_on_a_disk() -> None:
    with Waveform.of(SOUND) as waveform:
        assert os.readlink(f"/proc/self/fd/{waveform.fd}").startswith("/memfd:")  # noqa: PTH115


def test_memory_holds_its_content_and_is_not_inherited() -> None:
    fd = memory("media", b"abc" * 100_000)
    assert os.pread(fd, 1 << 20, 0) == b"abc" * 100_000
    assert not os.get_inheritable(fd)
    os.close(fd)


def test_received_is_the_same_sound() -> None:
    sent = Waveform.of(SOUND)
    with Waveform.received(os.dup(sent.fd), sent.length) as waveform:
        sent.close()
        assert np.array_equal(waveform.samples(), SOUND)


def test_nobody_can_shrink_what_was_received() -> None:
    """A sender that does would kill the reader with SIGBUS."""
    sent = Waveform.of(SOUND)
    with Waveform.received(os.dup(sent.fd), sent.length):
        with pytest.raises(PermissionError):
            os.ftruncate(sent.fd, 0)
        assert fcntl.fcntl(sent.fd, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK
    sent.close()


@pytest.mark.parametrize("length", [RATE + 1, -1])
def test_a_length_that_is_a_lie(length: int, open_fds: Callable[[], int]) -> None:
    before = open_fds()
    with Waveform.of(SOUND) as sent, pytest.raises(ValueError, match=f"does not hold {length} samples"):
        Waveform.received(os.dup(sent.fd), length)
    assert open_fds() == before

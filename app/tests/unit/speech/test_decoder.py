import asyncio
import contextlib
import logging
import os
import resource
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import media
import pytest
import pytest_asyncio
from polling import eventually

from hailo_whisper.service.metrics import Metrics
from hailo_whisper.speech.decoder import Decoder, MediaRefused, NoMemory, Recording
from hailo_whisper.speech.detection import Detection
from hailo_whisper.speech.waveform import memory

DETECTION = Detection(threshold=0.5, min_speech=0, min_silence=0.16)
LONGEST = 29.2


def _pid(decoder: Decoder) -> int:
    (pid,) = decoder.pids
    return pid


@pytest_asyncio.fixture
async def decoder() -> AsyncIterator[Decoder]:
    decoder = Decoder(10, 20, Metrics(), size=1)
    yield decoder
    decoder.close()


async def _decode(decoder: Decoder, content: bytes, detection: Detection | None = DETECTION) -> Recording:
    fd = memory("media", content)
    try:
        return await decoder.decode(fd, detection, LONGEST)
    finally:
        os.close(fd)


async def _decoded(decoder: Decoder, content: bytes) -> float:
    with await _decode(decoder, content) as recording:
        return recording.waveform.duration


async def test_one_process_serves_many(decoder: Decoder, clip_wav: bytes) -> None:
    assert not decoder.pids, "nobody is waiting before there is something to do"
    assert await _decoded(decoder, clip_wav) == pytest.approx(5.3)
    pid = _pid(decoder)
    with pytest.raises(MediaRefused):
        await _decode(decoder, b"text")
    durations = await asyncio.gather(*(_decoded(decoder, clip_wav) for _ in range(3)))
    assert durations == pytest.approx([5.3] * 3)
    assert _pid(decoder) == pid


@pytest.mark.parametrize(
    ("content", "sentence", "code"),
    [
        (b"", "The audio file is empty.", None),
        (b"text" * 100, "Invalid file format.", None),
        (media.silence(0.05), "Audio file is too short.", "audio_too_short"),
        (media.silence(11), "The audio is longer than 10 seconds", "audio_too_long"),
    ],
    ids=["empty", "text", "short", "long"],
)
async def test_refusals_cross_the_process(decoder: Decoder, content: bytes, sentence: str, code: str | None) -> None:
    with pytest.raises(MediaRefused, match=sentence) as caught:
        await _decode(decoder, content)
    assert caught.value.code == code


async def test_a_decoder_that_died_while_idle_is_replaced(decoder: Decoder, clip_wav: bytes) -> None:
    await _decoded(decoder, clip_wav)
    pid = _pid(decoder)
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG))
    assert await _decoded(decoder, clip_wav) == pytest.approx(5.3)
    assert _pid(decoder) != pid


async def _killed_under_way(decoder: Decoder) -> None:
    """Kill the process that is at work."""
    pid = _pid(decoder)
    # Stopped first, so that the request is under way when the end comes.
    os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(0.1)
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: pid not in decoder.pids)


async def test_a_decoder_that_is_killed_costs_no_request(
    decoder: Decoder, clip_wav: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    await _decoded(decoder, clip_wav)
    os.kill(_pid(decoder), signal.SIGSTOP)
    asking = asyncio.create_task(_decoded(decoder, clip_wav))
    await _killed_under_way(decoder)
    assert await asking == pytest.approx(5.3)
    assert "a new one is asked" in caplog.text


async def _loses_two(decoder: Decoder, content: bytes) -> "asyncio.Task[Recording]":
    """A request over which two processes in a row were killed."""
    await _decoded(decoder, content)
    os.kill(_pid(decoder), signal.SIGSTOP)
    asking = asyncio.create_task(_decode(decoder, content))
    await _killed_under_way(decoder)
    await eventually(lambda: decoder.pids)
    await _killed_under_way(decoder)
    return asking


async def test_a_file_that_crashes_two_of_them_is_refused(
    decoder: Decoder, clip_wav: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    asking = await _loses_two(decoder, clip_wav)
    with pytest.raises(MediaRefused, match=r"it crashed the decoder\. Convert it, and send it again"):
        await asking
    assert "died over an upload: " in caplog.text
    assert await _decoded(decoder, clip_wav) == pytest.approx(5.3)


@pytest.mark.usefixtures("short_memory")
async def test_want_of_memory_is_no_fault_of_the_file(decoder: Decoder, clip_wav: bytes) -> None:
    asking = await _loses_two(decoder, clip_wav)
    with pytest.raises(NoMemory, match=r"too little memory to decode this now: .* Send it again in a moment\."):
        await asking
    assert await _decoded(decoder, clip_wav) == pytest.approx(5.3)


async def test_a_file_that_never_ends_is_stopped(clip_wav: bytes) -> None:
    decoder = Decoder(10, 20, Metrics(), size=1)
    await _decoded(decoder, clip_wav)
    pid = _pid(decoder)
    decoder._deadline = 0.2
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(MediaRefused, match="takes too long to decode"):
        await _decode(decoder, clip_wav)
    await eventually(lambda: not Path(f"/proc/{pid}").exists())
    decoder._deadline = 20
    assert await _decoded(decoder, clip_wav) == pytest.approx(5.3)
    decoder.close()


async def test_its_memory_is_limited(decoder: Decoder, clip_wav: bytes) -> None:
    await _decoded(decoder, clip_wav)
    assert resource.prlimit(_pid(decoder), resource.RLIMIT_AS) == (2 * 1024**3, 2 * 1024**3)
    assert resource.prlimit(_pid(decoder), resource.RLIMIT_CORE) == (0, 0)


async def test_nothing_leaks(
    decoder: Decoder, clip_wav: bytes, open_fds: Callable[[], int], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    await _decoded(decoder, clip_wav)
    before = open_fds()
    for content in (clip_wav, b"", b"text", media.silence(0.05)):
        with contextlib.suppress(MediaRefused):
            await _decoded(decoder, content)
    assert open_fds() == before

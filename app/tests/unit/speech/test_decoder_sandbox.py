"""What hostile media can do to the decoder's process, and what it costs the others: nothing."""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import media
import pytest
import pytest_asyncio
from polling import eventually

from hailo_whisper.service.channel import Message
from hailo_whisper.service.metrics import Metrics
from hailo_whisper.speech import decoder as pool
from hailo_whisper.speech.decoder import Decoder, MediaRefused, Recording
from hailo_whisper.speech.detection import Detection
from hailo_whisper.speech.waveform import memory

DETECTION = Detection(threshold=0.5, min_speech=0, min_silence=0.16)


async def decoded(decoder: Decoder, content: bytes, detection: Detection | None = DETECTION) -> Recording:
    fd = memory("media", content)
    try:
        return await decoder.decode(fd, detection, 29.2)
    finally:
        os.close(fd)


@pytest_asyncio.fixture
async def decoder() -> AsyncIterator[Decoder]:
    decoder = Decoder(4000, 60, Metrics(), size=2, module="misbehaving_decoder")
    yield decoder
    decoder.close()


async def _assert_serves(decoder: Decoder, clip_wav: bytes) -> None:
    with await decoded(decoder, clip_wav) as recording:
        assert recording.waveform.duration == pytest.approx(5.3)
        assert recording.speech


@pytest.mark.parametrize(
    ("word", "sentence"),
    [("abort", "it crashed the decoder. Convert it, and send it again"), ("burn", "The audio takes too long to decode.")],
)
async def test_a_process_that_crashes_or_burns_costs_its_request_alone(
    decoder: Decoder, clip_wav: bytes, word: str, sentence: str, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    other = asyncio.create_task(decoded(decoder, b"hold " + str(go).encode()))
    await eventually(lambda: decoder.pids)
    (pid,) = decoder.pids
    with pytest.raises(MediaRefused) as caught:
        await decoded(decoder, word.encode())
    assert sentence in str(caught.value)
    assert decoder.pids == [pid], "the process of the other request lives"
    go.touch()
    with pytest.raises(MediaRefused, match="Invalid file format"):
        await other
    await _assert_serves(decoder, clip_wav)


@pytest.mark.parametrize("word", ["connect", "read", "write", "execute", "fork", "eat"])
async def test_what_a_hole_would_be_used_for_is_refused(
    decoder: Decoder, clip_wav: bytes, word: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(MediaRefused, match=r"Audio file might be corrupted or unsupported\."):
        await decoded(decoder, word.encode())
    assert ("MemoryError" if word == "eat" else "PermissionError") in caplog.text
    assert not os.path.exists("/tmp/hailo-whisper-must-not-be")  # noqa: PTH110, ASYNC240
    await _assert_serves(decoder, clip_wav)


async def test_a_process_that_hangs_is_ended_at_the_deadline(clip_wav: bytes) -> None:
    metrics = Metrics()
    decoder = Decoder(60, 20, metrics, module="misbehaving_decoder")
    await _assert_serves(decoder, clip_wav)
    decoder._deadline = 0.2
    with pytest.raises(MediaRefused, match="takes too long to decode"):
        await decoded(decoder, b"hang")
    assert not decoder.pids
    assert b'reason="deadline"' in metrics.exposition()[0]
    decoder.close()


async def test_who_is_cancelled_ends_the_process_and_frees_the_place(decoder: Decoder, clip_wav: bytes) -> None:
    tasks = [asyncio.create_task(decoded(decoder, b"hang")) for _ in range(3)]
    await eventually(lambda: len(decoder.pids) == 2)
    await asyncio.sleep(0.1)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert not decoder.pids
    await _assert_serves(decoder, clip_wav)


async def test_idle_processes_end_but_for_one(decoder: Decoder, clip_wav: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    # No process tires before the other has begun, however busy the machine is.
    monkeypatch.setattr(pool, "IDLE_SECONDS", 60.0)
    await asyncio.gather(_assert_serves(decoder, clip_wav), _assert_serves(decoder, clip_wav))
    assert len(decoder.pids) == 2
    monkeypatch.setattr(pool, "IDLE_SECONDS", 0.2)
    await asyncio.gather(_assert_serves(decoder, clip_wav), _assert_serves(decoder, clip_wav))
    await eventually(lambda: len(decoder.pids) == 1)
    (kept,) = decoder.pids
    await asyncio.sleep(0.5)
    await _assert_serves(decoder, clip_wav)
    assert decoder.pids == [kept]


async def test_the_last_process_ends_with_keep_alive(decoder: Decoder, clip_wav: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "IDLE_SECONDS", 0.1)
    decoder.configure(4000, 60, keep_alive=0)
    await _assert_serves(decoder, clip_wav)
    await eventually(lambda: not decoder.pids)
    await _assert_serves(decoder, clip_wav)


async def test_a_process_is_there_before_the_first_recording(decoder: Decoder, clip_wav: bytes) -> None:
    decoder.warm()
    (pid,) = decoder.pids
    decoder.warm()
    await _assert_serves(decoder, clip_wav)
    assert decoder.pids == [pid]


@pytest.mark.parametrize("kind", media.ENCODINGS)
async def test_every_format_is_decoded_in_the_sandbox(decoder: Decoder, kind: str) -> None:
    with await decoded(decoder, media.encoded(kind)) as recording:
        assert recording.waveform.duration == pytest.approx(5.3, abs=0.15)
        assert recording.speech


async def test_a_bomb_is_refused_and_the_next_is_served(clip_wav: bytes) -> None:
    decoder = Decoder(600, 60, Metrics())
    bomb = media.encoded("flac", media.silence(1800))
    assert len(bomb) < 1_000_000
    with pytest.raises(MediaRefused, match="longer than 600 seconds"):
        await decoded(decoder, bomb)
    await _assert_serves(decoder, clip_wav)
    decoder.close()


async def test_an_hour_of_silence_has_no_speech(decoder: Decoder) -> None:
    # CPU time is given anew with each minute of sound: this takes more than the second that a minute has here.
    with await decoded(decoder, media.encoded("flac", media.silence(3600))) as recording:
        assert recording.waveform.duration == pytest.approx(3600)
        assert recording.speech == []


async def test_without_detection_all_is_speech(decoder: Decoder, clip_wav: bytes) -> None:
    with await decoded(decoder, media.silence(70), None) as recording:
        assert recording.speech[0].start == 0
        assert recording.speech[-1].end == recording.waveform.length == 70 * 16000
        assert all(span.end - span.start <= 29.2 * 16000 for span in recording.speech)
        assert all(one.end == other.start for one, other in itertools.pairwise(recording.speech))


async def test_both_ends_are_counted(clip_wav: bytes) -> None:
    metrics = Metrics()
    decoder = Decoder(60, 20, metrics)
    await _assert_serves(decoder, clip_wav)
    with pytest.raises(MediaRefused):
        await decoded(decoder, b"text")
    said = metrics.exposition()[0].decode()
    assert 'reason="refused"} 1.0' in said
    assert "5.3" in said
    decoder.close()


async def test_a_machine_without_the_filter_goes_on_and_says_so_once(
    decoder: Decoder, clip_wav: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MISBEHAVING_DECODER_RUNS_ON", "riscv64")
    for _ in range(2):
        await _assert_serves(decoder, clip_wav)
    assert caplog.text.count("no seccomp filter") == 1


@pytest.mark.parametrize(
    "answer",
    [
        {"length": 16000, "speech": [[0, 10**18]]},
        {"length": 16000, "speech": [[0, 9], [5, 12]]},
        {"length": 16000, "speech": [["0", 9]]},
        {"length": 16000, "speech": 7},
        {"length": 10**18, "speech": []},
        {"length": "16000", "speech": []},
        {"length": 32000, "speech": []},
        {"speech": []},
        {},
    ],
)
async def test_a_decoder_that_was_taken_over_is_not_believed(
    decoder: Decoder, clip_wav: bytes, answer: dict[str, Any], open_fds: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    await _assert_serves(decoder, clip_wav)
    (taken_over,) = decoder.pids
    before = open_fds()

    async def lie(*_: object, **__: object) -> Message:
        return Message(answer, [memory("waveform", bytes(64000))])

    with monkeypatch.context() as patched:
        patched.setattr(decoder._idle[0], "ask", lie)
        with pytest.raises(MediaRefused, match="crashed the decoder"):
            await decoded(decoder, clip_wav)
    await eventually(lambda: not Path(f"/proc/{taken_over}").exists())
    await _assert_serves(decoder, clip_wav)
    assert open_fds() <= before

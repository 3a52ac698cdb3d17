"""To the next version and back, while requests come: none is lost, and what is the user's stays as it was."""

import threading
import time

import jiwer
import openai
import pytest
from load import CLIP, Load, client, repeated
from machine import SOURCE, Machine

from service import CLIP as SAID
from service import Service, words

TIMES = 8
"""How often the long recording has the clip, so that it is of several windows."""
LONGEST = 9.0
"""Seconds that it may take: well below the 28 that a server at its end gives to what it has, also when the machine becomes busier."""


def times(service: Service) -> int:
    """How often the clip can be repeated, for this machine to transcribe it beside a load in the seconds that it may take."""
    count = TIMES
    while count > 1:
        begin = time.monotonic()
        client(service, retries=2).audio.transcriptions.create(file=("long.wav", repeated(CLIP, count)), model="whisper-1")
        if time.monotonic() - begin <= LONGEST:
            break
        count //= 2
    return count


@pytest.mark.parametrize("version", ["after", "before"])
def test_under_requests_and_a_long_transcription_none_is_lost(machine: Machine, version: str) -> None:
    machine.host.check_output("echo kept >/var/lib/hailo-whisper/state/noted")
    here, there = (machine.before, machine.after) if version == "after" else (machine.after, machine.before)
    service = machine.serves(here)
    kept, old = machine.sums(), machine.main_pid()
    long: list[tuple[float, float, str]] = []
    finished = threading.Event()

    def transcribe_long(recording: bytes) -> None:
        # The service is restarted some steps after the script of the package begins: one follows the other, so that one of them is under way then.
        machine.await_process("hailo-whisper.postinst configure")
        text, failed = "", False
        while not failed and not (long and finished.is_set()):
            begin = time.monotonic()
            try:
                text = client(service).audio.transcriptions.create(file=("long.wav", recording), model="whisper-1").text
            except openai.OpenAIError as error:
                text, failed = repr(error), True
            long.append((begin, time.monotonic(), text))

    with Load(service) as load:
        count = times(service)
        sender = threading.Thread(target=transcribe_long, args=(repeated(CLIP, count),))
        sender.start()
        try:
            status, said = machine.install(version)
            stopped = machine.stopped_at()
        finally:
            finished.set()
        load.await_more()
        sender.join(120)
    assert status == 0, said
    assert load.failed == []
    assert [text for text in load.answered if jiwer.wer(words(SAID), words(text)) > 0.1] == []
    # The small model hears a sentence that is said over and over less well each time; a window that was lost would be half of it.
    assert [text for _, _, text in long if jiwer.wer(words(f"{SAID} " * count), words(text)) > 0.35] == []
    spans = [(begin - stopped, end - stopped) for begin, end, _ in long]
    # For whoever runs it by hand.
    print(
        f"{len(load.answered)} answered; the long ones, {count} times the clip, in seconds from when the server was told to end: {spans}"
    )
    assert any(begin < 0 < end for begin, end in spans), spans
    assert machine.main_pid() != old
    assert machine.sums() == kept
    machine.is_whole(there)
    machine.serves(there)
    # Both sides have changed it: the user's stays, and the package's lies beside it.
    assert machine.host.file(f"{SOURCE}.dpkg-dist").contains("# As version 0.0.9 has it.") == (version == "before")

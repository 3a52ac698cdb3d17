import json
import socket
import threading
import wave
from collections.abc import Callable
from typing import BinaryIO

import pytest

from bench.peers import PROJECT
from bench.wyoming import receive, send, transcribe

CLIP = PROJECT / "app/src/hailo_whisper/data/clip.wav"


def serve(talk: Callable[[BinaryIO, BinaryIO], None]) -> int:
    """A server for one connection, on the port that it returns."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as reader, connection.makefile("wb") as writer, listener:
            talk(reader, writer)

    threading.Thread(target=run, daemon=True).start()
    return int(listener.getsockname()[1])


def test_a_clip_is_sent_whole_and_the_text_comes_back() -> None:
    seen: list[tuple[str, dict[str, object]]] = []
    sound = bytearray()

    def talk(reader: BinaryIO, writer: BinaryIO) -> None:
        while True:
            line = json.loads(reader.readline())
            data = json.loads(reader.read(line["data_length"]))
            sound.extend(reader.read(line["payload_length"]))
            seen.append((line["type"], data))
            if line["type"] == "audio-stop":
                break
        send(writer, "something-else", {"text": "not this"}, b"payload")
        send(writer, "transcript", {"text": " hello"})
        writer.flush()

    assert transcribe("127.0.0.1", serve(talk), CLIP, "fr", 30) == " hello"
    with wave.open(str(CLIP)) as file:
        assert bytes(sound) == file.readframes(file.getnframes())
    assert seen[0] == ("transcribe", {"language": "fr"})
    assert seen[1] == ("audio-start", {"rate": 16000, "width": 2, "channels": 1})
    assert seen[-1][0] == "audio-stop"


def test_a_server_that_goes_away_is_told_of() -> None:
    def talk(reader: BinaryIO, writer: BinaryIO) -> None:
        while receive(reader)[0] != "audio-stop":
            pass

    with pytest.raises(ConnectionError, match="without a transcript"):
        transcribe("127.0.0.1", serve(talk), CLIP, "en", 30)


def test_a_server_that_never_answers_is_given_up() -> None:
    forever = threading.Event()
    try:
        with pytest.raises(TimeoutError):
            transcribe("127.0.0.1", serve(lambda reader, writer: (receive(reader), forever.wait())[0] and None), CLIP, "en", 0.2)
    finally:
        forever.set()

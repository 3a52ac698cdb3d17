"""The client's side of the Wyoming protocol, as far as a transcription needs it: events of JSON lines with data and payload behind them."""

import json
import socket
import wave
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

# Frames of sound in one event, as Home Assistant sends them.
CHUNK = 1024


def transcribe(host: str, port: int, path: Path, language: str, timeout: float) -> str:
    """Send a WAV file of 16 bit, wait for its text. Raises OSError (TimeoutError is one) or ValueError for a strange reply."""
    with (
        socket.create_connection((host, port), timeout) as connection,
        connection.makefile("rb") as reader,
        connection.makefile("wb") as writer,
        wave.open(str(path)) as file,
    ):
        form = {"rate": file.getframerate(), "width": file.getsampwidth(), "channels": file.getnchannels()}
        send(writer, "transcribe", {"language": language})
        send(writer, "audio-start", form)
        while frames := file.readframes(CHUNK):
            send(writer, "audio-chunk", form, frames)
        send(writer, "audio-stop", {})
        writer.flush()
        while True:
            kind, data = receive(reader)
            if kind == "transcript":
                return str(data["text"])


def send(stream: BinaryIO, kind: str, data: Mapping[str, Any], payload: bytes = b"") -> None:
    """Write one event."""
    packed = json.dumps(data).encode()
    head = {"type": kind, "data_length": len(packed), "payload_length": len(payload)}
    stream.write(json.dumps(head).encode() + b"\n" + packed + payload)


def receive(stream: BinaryIO) -> tuple[str, dict[str, Any]]:
    """Read one event: its type and its data."""
    line = stream.readline()
    if not line:
        raise ConnectionError("the server closed the connection without a transcript")
    head = json.loads(line)
    data = dict(head.get("data") or {})
    if length := head.get("data_length"):
        data |= json.loads(stream.read(length))
    if length := head.get("payload_length"):
        stream.read(length)
    return str(head["type"]), data

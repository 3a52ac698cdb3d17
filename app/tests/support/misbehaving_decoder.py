"""A decoder whose process does what media tell it by their first word, as if they had found a hole in libav."""

import os
import platform
import socket
import time
from collections.abc import Callable
from pathlib import Path

from hailo_whisper.speech import decode
from hailo_whisper.speech.waveform import Waveform


def decoding(fd: int, max_seconds: float, progress: Callable[[], None]) -> Waveform:
    match os.pread(fd, 100, 0).split():
        case [b"abort"]:
            os.abort()
        case [b"burn"]:
            while True:
                pass
        case [b"hang"]:
            time.sleep(600)
        case [b"hold", path]:
            # A hole would not let it open files, but whether there is one it can see.
            while not Path(path.decode()).exists():
                time.sleep(0.01)
        case [b"connect"]:
            socket.create_connection(("127.0.0.1", 9))
        case [b"read"]:
            Path("/etc/passwd").read_text()
        case [b"write"]:
            Path("/tmp/hailo-whisper-must-not-be").write_text("x")
        case [b"execute"]:
            os.execv("/bin/true", ["true"])
        case [b"fork"]:
            os.fork()
        case [b"eat"]:
            bytearray(decode.MEMORY)
    return decode.decode(fd, max_seconds, progress)


if __name__ == "__main__":
    decode.CPU_SECONDS = 1.0
    machine = os.environ.get("MISBEHAVING_DECODER_RUNS_ON", platform.machine())
    platform.machine = lambda: machine
    decode.run(decoding)

"""A child for the tests of service.child: does what each message says."""

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hailo_whisper.service import channel, child
from hailo_whisper.speech.waveform import memory

FOREVER = 600


def handle(message: channel.Message) -> tuple[dict[str, Any], Sequence[int]]:
    data = message.data
    match data.get("do"):
        case "echo":
            return {"echo": data["text"]}, []
        case "hang":
            if "sign" in data:
                Path(data["sign"]).touch()
            time.sleep(FOREVER)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(7)
        case "give up":
            raise SystemExit("there is no more memory")
        case "raise":
            raise RuntimeError("no luck today")
        case "read":
            texts = [os.pread(fd, 1000, 0).decode() for fd in message.fds]
            return {"texts": texts}, []
        case "write":
            return {}, [memory(text, text.encode()) for text in data["texts"]]
        case "write when":
            while not Path(data["path"]).exists():
                time.sleep(0.01)
            return {"late": True}, [memory("late", b"late")]
        case "descriptors":
            return {"count": len(list(Path("/proc/self/fd").iterdir()))}, []
        case "garbage":
            os.write(int(sys.argv[1]), channel.HEADER.pack(4) + b"}{}{")
            time.sleep(FOREVER)
        case "boast":
            os.write(int(sys.argv[1]), channel.HEADER.pack(channel.MAX_MESSAGE + 1))
            time.sleep(FOREVER)
        case "hang up":
            os.close(int(sys.argv[1]))
            time.sleep(FOREVER)
    return {}, []


if __name__ == "__main__":
    child.serve(handle)

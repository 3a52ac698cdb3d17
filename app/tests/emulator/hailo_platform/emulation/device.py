"""The device's side of a loaded model: what hears. Whoever waits for it holds the GIL, as in the real binding."""

import ctypes
import json
import subprocess
import sys
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hailo_platform.emulation.wire import LENGTH, RATE

POLLIN = 1


class Hearing(Protocol):
    def hear(
        self, samples: NDArray[np.float32], task: str, language: str | None, penalty: float, *, ideal: bool
    ) -> list[list[Any]] | None: ...

    def tokenize(self, text: str) -> list[int]: ...

    def close(self) -> None: ...


class Told:
    """Hears the same in every recording; its tokens are words."""

    def __init__(self, text: str) -> None:
        self._text = text

    def hear(
        self, samples: NDArray[np.float32], task: str, language: str | None, penalty: float, *, ideal: bool
    ) -> list[list[Any]] | None:
        if language is not None and len(self.tokenize(f"<|{language}|>")) != 1:
            return None
        text = f" In English: {self._text}" if task == "translate" else f" {self._text}"
        return [[0.0, len(samples) / RATE, text]]

    def tokenize(self, text: str) -> list[int]:
        words = text.split()
        if text.startswith("<|") and text not in ("<|en|>", "<|de|>", "<|es|>"):
            return [0, 1, 2]
        return [*range(len(words))]

    def close(self) -> None:
        pass


class Weights:
    """Real weights in a process of their own, which is the device's own processor."""

    def __init__(self, folder: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "hailo_platform.emulation.model", folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._line()

    def hear(
        self, samples: NDArray[np.float32], task: str, language: str | None, penalty: float, *, ideal: bool
    ) -> list[list[Any]] | None:
        order = {"length": len(samples), "task": task, "language": language, "penalty": penalty, "ideal": ideal}
        self._send(order, samples.tobytes())
        found: list[list[Any]] | None = json.loads(self._line())
        return found

    def tokenize(self, text: str) -> list[int]:
        self._send({"tokenize": text}, b"")
        found: list[int] = json.loads(self._line())
        return found

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _send(self, order: dict[str, Any], data: bytes) -> None:
        assert self._process.stdin is not None
        head = json.dumps(order).encode()
        self._process.stdin.write(LENGTH.pack(len(head)) + head + data)
        self._process.stdin.flush()

    def _line(self) -> bytes:
        """Wait for an answer with the GIL held: poll(2) by PyDLL, for ever."""
        assert self._process.stdout is not None

        class Poll(ctypes.Structure):
            _fields_ = (("fd", ctypes.c_int), ("events", ctypes.c_short), ("revents", ctypes.c_short))

        poll = Poll(self._process.stdout.fileno(), POLLIN, 0)
        ctypes.PyDLL(None).poll(ctypes.byref(poll), 1, -1)
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the emulator's model ended with status {self._process.wait()}")
        return line


def hearing(content: dict[str, Any]) -> Hearing:
    """What a HEF of the emulator holds."""
    return Told(content["says"]) if "says" in content else Weights(content["weights"])

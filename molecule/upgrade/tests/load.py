"""Requests that never cease, by the official SDK, to see what becomes of them while the service is upgraded."""

import io
import threading
import time
import wave
from pathlib import Path
from types import TracebackType

import openai

from service import DATA, Service

CLIP = DATA / "clip.wav"


def client(service: Service, retries: int = 0, seconds: float = 120) -> openai.OpenAI:
    """A client of the SDK that asks once: it would hide a lost request by asking again. With `retries`, as its users have it."""
    return openai.OpenAI(
        api_key=service.key,
        base_url=service.url("/v1"),
        max_retries=retries,
        timeout=seconds,
        http_client=openai.DefaultHttpxClient(trust_env=False),
    )


def repeated(clip: Path, times: int) -> bytes:
    """A WAV file that has the clip several times over."""
    with wave.open(str(clip)) as source:
        parameters, frames = source.getparams(), source.readframes(source.getnframes())
    out = io.BytesIO()
    with wave.open(out, "wb") as target:
        target.setparams(parameters)
        target.writeframes(frames * times)
    return out.getvalue()


class Load:
    """As a context: so many clients, each of whom sends the clip again as soon as it has its reply. It begins with the `first` replies."""

    def __init__(self, service: Service, clients: int = 2, retries: int = 0, seconds: float = 120, first: int = 6) -> None:
        self.answered: list[str] = []
        self.failed: list[str] = []
        self._first = first
        self._done = threading.Event()
        self._senders = [threading.Thread(target=self._send, args=(client(service, retries, seconds),)) for _ in range(clients)]

    def _send(self, sdk: openai.OpenAI) -> None:
        while not self._done.is_set():
            try:
                self.answered.append(sdk.audio.transcriptions.create(file=CLIP, model="whisper-1").text)
            except openai.OpenAIError as error:
                self.failed.append(repr(error))
                # A service that is gone refuses at once.
                time.sleep(0.2)

    def await_more(self, number: int = 6, seconds: float = 60) -> None:
        """Wait until there are so many more replies than now."""
        end, wanted = time.monotonic() + seconds, len(self.answered) + number
        while len(self.answered) < wanted:
            assert time.monotonic() < end, f"{len(self.answered)} of {wanted} replies came; failed: {self.failed[-3:]}"
            time.sleep(0.05)

    def __enter__(self) -> "Load":
        for sender in self._senders:
            sender.start()
        self.await_more(self._first)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._done.set()
        for sender in self._senders:
            sender.join(150)
        assert error or not any(sender.is_alive() for sender in self._senders)

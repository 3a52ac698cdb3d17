"""A target that was started: it transcribes a clip and can be ended, in process, by Wyoming's protocol or by OpenAI's."""

import contextlib
import json
import socket
import time
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx

from . import wyoming
from .corpus import Clip
from .process import Process, ProcessFailed, listener

START_SECONDS = 180.0


class Failed(Exception):
    """A target gave no transcript."""


class NotYet(Failed):
    """It gave none because it is still starting."""


@dataclass(frozen=True)
class Reply:
    """What came of a request: the text, or why there is none, after so many seconds."""

    text: str | None
    seconds: float
    error: str | None = None


class Running(Protocol):
    """A target that was started."""

    name: str
    serves: bool
    """Whether it takes several requests at once."""

    @property
    def pid(self) -> int | None:
        """Process whose tree holds its memory; None: it is not on this machine."""
        ...

    def transcribe(self, clip: Clip, timeout: float) -> str:
        """The text of a clip. Raises NotYet, Failed, ProcessFailed."""
        ...

    def answers(self) -> bool:
        """Whether somebody who knocks gets an answer, be it that it is not ready."""
        ...

    def end(self) -> None:
        """End what was started."""
        ...


def ask(running: Running, clip: Clip, timeout: float) -> Reply:
    """Have a clip transcribed, and take the time."""
    began = time.monotonic()
    try:
        text = running.transcribe(clip, timeout)
    except (Failed, ProcessFailed) as error:
        return Reply(None, time.monotonic() - began, str(error))
    return Reply(text, time.monotonic() - began)


def first_words(running: Running, clip: Clip, seconds: float = START_SECONDS) -> str:
    """Ask until it has started. Raises Failed when it has not in time."""
    end = time.monotonic() + seconds
    while True:
        try:
            return running.transcribe(clip, seconds)
        except NotYet as error:
            if time.monotonic() > end:
                raise Failed(f"{running.name} did not start within {seconds:.0f} s: {error}") from None
            time.sleep(0.02)


class Child:
    """One file after the other, through pipes."""

    serves = False

    def __init__(self, name: str, process: Process) -> None:
        self.name = name
        self._process = process

    @property
    def pid(self) -> int | None:
        """Process whose tree holds its memory."""
        return self._process.pid

    def transcribe(self, clip: Clip, timeout: float) -> str:
        """The text of a clip; `timeout` has no meaning to a call of a library."""
        stdin, stdout = self._process.popen.stdin, self._process.popen.stdout
        if stdin is None or stdout is None:
            raise Failed("the process was started without pipes")
        try:
            stdin.write(json.dumps({"path": str(clip.path), "language": clip.language}).encode() + b"\n")
            stdin.flush()
            line = stdout.readline()
        except OSError:
            line = b""
        if not line:
            self._process.popen.wait()
            self._process.check()
        reply = json.loads(line)
        if "error" in reply:
            raise Failed(reply["error"])
        return str(reply["text"])

    def answers(self) -> bool:
        """A library needs no knocking."""
        return True

    def end(self) -> None:
        """End its process."""
        self._process.end()


class WyomingServer:
    """A server that speaks Wyoming."""

    serves = True

    def __init__(self, name: str, port: int, process: Process) -> None:
        self.name = name
        self._port, self._process = port, process

    @property
    def pid(self) -> int | None:
        """Process whose tree holds its memory."""
        return self._process.pid

    def transcribe(self, clip: Clip, timeout: float) -> str:
        """The text of a clip."""
        try:
            return wyoming.transcribe("127.0.0.1", self._port, clip.path, clip.language, timeout)
        except ConnectionRefusedError as error:
            self._process.check()
            raise NotYet(str(error)) from None
        except (OSError, ValueError) as error:
            raise Failed(f"{type(error).__name__}: {error}") from None

    def answers(self) -> bool:
        """Whether it takes connections."""
        self._process.check()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 5):
            return True
        return False

    def end(self) -> None:
        """End its process."""
        self._process.end()


class OpenAIServer:
    """A server with the route /v1/audio/transcriptions."""

    serves = True

    def __init__(self, name: str, url: str, model: str, process: Process | None, folder: Any = None) -> None:
        """`folder` is a temporary one that goes when the server does."""
        self.name = name
        self._url, self._model, self._process, self._folder = url.rstrip("/"), model, process, folder
        # A connection of its own for each request, since servers end idle ones at moments of their own choosing.
        self._client = httpx.Client(trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))

    @property
    def pid(self) -> int | None:
        """Process whose tree holds its memory; None: it is not on this machine."""
        if self._process:
            return self._process.pid
        parts = urlsplit(self._url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return listener(port) if parts.hostname in ("127.0.0.1", "localhost", "::1") else None

    def transcribe(self, clip: Clip, timeout: float) -> str:
        """The text of a clip."""
        fields = {"model": self._model, "language": clip.language, "response_format": "json"}
        try:
            with clip.path.open("rb") as file:
                files = {"file": (clip.path.name, file, "audio/wav")}
                url = f"{self._url}/v1/audio/transcriptions"
                response = self._client.post(url, data=fields, files=files, timeout=timeout)
        except httpx.ConnectError as error:
            self._check()
            raise NotYet(str(error)) from None
        except httpx.HTTPError as error:
            raise Failed(f"{type(error).__name__}: {error}") from None
        if response.status_code == 503:
            raise NotYet(response.text[:500])
        try:
            return str(response.raise_for_status().json()["text"]).strip()
        except (httpx.HTTPStatusError, ValueError, KeyError):
            raise Failed(f"status {response.status_code}: {response.text[:500]}") from None

    def get(self, path: str) -> str:
        """The body of a page of the server. Raises Failed."""
        try:
            return self._client.get(f"{self._url}{path}", timeout=10).raise_for_status().text
        except httpx.HTTPError as error:
            raise Failed(f"{path}: {type(error).__name__}: {error}") from None

    def answers(self) -> bool:
        """Whether it takes connections."""
        self._check()
        try:
            self._client.get(f"{self._url}/health", timeout=5)
        except httpx.HTTPError:
            return False
        return True

    def _check(self) -> None:
        if self._process:
            self._process.check()

    def end(self) -> None:
        """End its process."""
        self._client.close()
        if self._process:
            self._process.end()
        if self._folder:
            self._folder.cleanup()

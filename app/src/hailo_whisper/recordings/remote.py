"""The way over HTTP: a server with OpenAI's interface, ours or another, hears the recordings."""

import asyncio
import logging
import ssl
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx2
from pydantic import BaseModel, ValidationError

from .. import __version__
from ..failure import Failure
from ..speech.languages import CODES
from ..speech.transcript import Segment, Transcript
from .connections import probed, refused, tls, untrusted
from .progress import Progress
from .stop import Stop
from .tries import Tries

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Address:
    """Where the server is, and how it is asked."""

    url: str
    """With or without the /v1 of the interface."""
    key: str | None = None
    """Sent as a bearer token."""
    timeout: float = 3600.0
    """Seconds that one recording may take, from the last byte sent to the reply."""
    parallel: int = 4
    """Requests in flight."""
    patience: float = 600.0
    """Seconds that one recording waits, in all, for a server that is busy, or that answered before and is away."""
    certificate: Path | None = None
    """Shown to a server that wants one of its clients: in PEM, with its key."""
    certificate_key: Path | None = None
    """The key, where it is in a file of its own."""


class _Segment(BaseModel):
    start: float
    end: float
    text: str
    tokens: list[int] = []
    temperature: float = 0.0
    avg_logprob: float | None = None
    compression_ratio: float | None = None
    no_speech_prob: float | None = None
    seek: int | None = None


class _Reply(BaseModel):
    """verbose_json, as far as it is needed."""

    text: str
    language: str | None
    duration: float
    segments: list[_Segment] | None = None


class Remote:
    """A context manager; `transcribe` may run several times at once."""

    def __init__(self, address: Address, fields: dict[str, str]) -> None:
        """`fields` are those of each request beside the file and the format. Raises Failure for a certificate that is none."""
        base = address.url.rstrip("/").removesuffix("/v1")
        self._url = f"{base}/v1/audio/transcriptions"
        self._address = address
        self._fields = fields | {"response_format": "verbose_json"}
        # Until then it may well be the address that is wrong.
        self._answered = False
        headers = {"user-agent": f"hailo-whisper/{__version__}"}
        if address.key:
            headers["authorization"] = f"Bearer {address.key}"
        timeout = httpx2.Timeout(60.0, read=address.timeout)
        limits = httpx2.Limits(max_connections=address.parallel, max_keepalive_connections=address.parallel)
        self._client = httpx2.AsyncClient(
            headers=headers, timeout=timeout, limits=limits, verify=tls(address.certificate, address.certificate_key)
        )

    @property
    def concurrency(self) -> int:
        """How many recordings it takes at once."""
        return self._address.parallel

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def transcribe(self, path: Path, progress: Progress) -> Transcript:
        """Send a recording. Raises Failure when the server refuses it, Stop when it would refuse any or is not there."""
        tries = Tries(self._url, self._address.patience)
        while True:
            try:
                response = await self._post(path)
            except httpx2.ReadTimeout:
                raise Failure(
                    f"The server did not answer within {self._address.timeout:.0f} s. Give it more time with --timeout."
                ) from None
            except (httpx2.TransportError, ssl.SSLError) as error:
                shown = self._address.certificate is not None
                if stop := untrusted(error, self._url, shown=shown):
                    raise stop from None
                unsent = isinstance(error, (httpx2.ConnectError, httpx2.ConnectTimeout))
                why = str(error) or type(error).__name__
                if not self._answered:
                    why += refused(error, self._url, shown=shown)
                pause = tries.after_silence(why, unsent=unsent, answered=self._answered)
            except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
                raise Stop(f"{self._address.url} is no address of a server: {error}. Write it as http://host:port.") from None
            else:
                self._answered = True
                if response.status_code == 200:
                    transcript = _transcript(response, self._url)
                    progress.known(path, transcript.duration)
                    return transcript
                why = _message(response)
                again = tries.after_refusal(response.status_code, response.headers, why)
                if again is None:
                    raise _refusal(response, self._url)
                pause = again
            progress.waits(path, f"trying again in {pause:.1f} s: {why}")
            log.info("%s: trying again in %.1f s: %s", path, pause, why)
            await asyncio.sleep(pause)

    async def _post(self, path: Path) -> httpx2.Response:
        try:
            with path.open("rb") as stream:
                return await self._client.post(
                    self._url, data=self._fields, files={"file": (path.name, stream)}, extensions={"trace": probed}
                )
        except ssl.SSLError:
            # An OSError too, and of the connection.
            raise
        except OSError as error:
            raise Failure(f"It cannot be read: {error.strerror}. Check the name, the owner and the mode.") from None


def _message(response: httpx2.Response) -> str:
    """What the server says of its refusal, on one line."""
    try:
        text = str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        text = response.text
    return " ".join(text.split())[:500] or response.reason_phrase


def _refusal(response: httpx2.Response, url: str) -> Failure:
    status, message = response.status_code, _message(response)
    match status:
        case 401 | 403:
            return Stop(f"{url} refuses the key ({status}): {message} Give the right one with --api-key or OPENAI_API_KEY.")
        case 404 | 405:
            return Stop(f"{url} answers {status}: {message} Check the address and --model.")
        case 301 | 302 | 307 | 308:
            return Stop(f"{url} has moved to {response.headers.get('location')}. Use that address.")
        case 413:
            return Failure(
                f"It is too large for the server: {message} Send it in parts, or raise the server's limits.upload_mib."
            )
        case _:
            return Failure(f"The server answers {status}: {message}")


def _transcript(response: httpx2.Response, url: str) -> Transcript:
    try:
        reply = _Reply.model_validate_json(response.content)
    except ValidationError:
        raise Stop(
            f"{url} answers with what is no verbose_json of a transcription: {response.text[:100]!r}. Check the address and --model."
        ) from None
    whole = [_Segment(start=0.0, end=reply.duration, text=reply.text)] if reply.text else []
    segments = [_segment(segment) for segment in reply.segments or whole]
    if "".join(segment["text"] for segment in segments).strip() != reply.text.strip():
        # Some servers strip the space before a segment's first word, with which Whisper writes it.
        for segment in segments:
            segment["text"] = f" {segment['text'].strip()}"
    return Transcript([Segment(**segment) for segment in segments], _code(reply.language), reply.duration)


def _segment(segment: _Segment) -> dict[str, Any]:
    """With what can be computed where the server does not tell it."""
    text = segment.text.encode()
    computed = {"seek": round(segment.start * 100), "compression_ratio": len(text) / len(zlib.compress(text))}
    return (
        computed
        | segment.model_dump(exclude_none=True)
        | {"avg_logprob": segment.avg_logprob, "no_speech_prob": segment.no_speech_prob}
    )


def _code(language: str | None) -> str | None:
    """The code of a language that the server names in English; None when it does not say."""
    return None if language is None else CODES.get(language, language)

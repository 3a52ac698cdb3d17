"""The transcript as the events of a stream, in the shapes of the OpenAI contract: what was heard, as soon as it is known."""

import json
from typing import Any

from ..speech.transcript import Segment, Transcript, WindowResult
from .details import Details
from .structured import logprobs, usage

QUIET = b": still at it\n\n"
"""A comment, which clients skip: it shows those in between that the connection is in use."""


class Deltas:
    """Puts what was heard in windows into their order. The texts of its events, one after the other, are the transcript's text."""

    def __init__(self, details: Details) -> None:
        self._details = details
        self._early: dict[int, WindowResult] = {}
        self._next = 0
        self._segments: list[Segment] = []
        self._told = 0
        """Characters of the text that were told."""
        self._listed = 0
        """Tokens that were."""

    def take(self, number: int, result: WindowResult) -> bytes | None:
        """What is new when window `number` was heard: an event, or None as long as a window before it is missing."""
        self._early[number] = result
        while self._next in self._early:
            self._segments += self._early.pop(self._next).segments
            self._next += 1
        # Its text has no space at either end, so that of the first windows is how that of all begins.
        known = Transcript(self._segments, "", 0.0)
        delta = known.text[self._told :]
        if not delta:
            return None
        self._told += len(delta)
        more: dict[str, Any] = {}
        if self._details.logprobs:
            more["logprobs"] = logprobs(known.logprobs[self._listed :])
            self._listed += len(more["logprobs"])
        return data({"type": "transcript.text.delta", "delta": delta} | more)


def done(transcript: Transcript, details: Details) -> bytes:
    """The last event, with the whole text."""
    body: dict[str, Any] = {"type": "transcript.text.done", "text": transcript.text}
    if details.logprobs:
        body["logprobs"] = logprobs(transcript.logprobs)
    return data(body | {"usage": usage(transcript)})


def data(body: Any) -> bytes:
    """An event of server-sent events. JSON writes the ends of lines that a text holds as escapes."""
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n".encode(errors="backslashreplace")

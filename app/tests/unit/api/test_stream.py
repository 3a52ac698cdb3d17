"""A stream without a server: what it tells, when, and that it holds nothing when it is over."""

import asyncio
import contextlib
import json
from typing import Any

import pytest
from polling import eventually

from hailo_whisper.api import stream
from hailo_whisper.api.errors import ApiError
from hailo_whisper.api.stream import Stream, Work
from hailo_whisper.engines.failures import DeadlineExceeded
from hailo_whisper.formats import Details
from hailo_whisper.scheduling.tickets import Heard
from hailo_whisper.speech.transcript import Segment, Transcript, WindowResult


def result(text: str) -> WindowResult:
    return WindowResult([Segment(0.0, 1.0, f" {text}", [], 0.0, None, 1.0, None, 0)] if text else [], "en")


def transcript(*texts: str) -> Transcript:
    return Transcript([segment for text in texts for segment in result(text).segments], "en", 2.5)


async def said(work: Work) -> list[Any]:
    async with Stream(work, Details()) as told:
        await told.begin()
        return [json.loads(event.removeprefix(b"data: ")) async for event in told]


async def test_windows_are_told_in_their_order() -> None:
    async def work(heard: Heard) -> Transcript:
        heard(1, result("two"))
        heard(0, result("one"))
        heard(2, result(""))
        return transcript("one", "two", "")

    assert await said(work) == [
        {"type": "transcript.text.delta", "delta": "one two"},
        {"type": "transcript.text.done", "text": "one two", "usage": {"type": "duration", "seconds": 3}},
    ]


async def test_the_first_event_does_not_wait_for_the_rest() -> None:
    rest = asyncio.Event()

    async def work(heard: Heard) -> Transcript:
        heard(0, result("one"))
        await rest.wait()
        heard(1, result("two"))
        return transcript("one", "two")

    async with Stream(work, Details()) as told:
        await told.begin()
        assert json.loads((await anext(told)).removeprefix(b"data: "))["delta"] == "one"
        rest.set()
        assert json.loads((await anext(told)).removeprefix(b"data: "))["delta"] == " two"


async def test_what_fails_before_the_first_event_is_raised() -> None:
    async def work(_: Heard) -> Transcript:
        raise ApiError(400, "no")

    async with Stream(work, Details()) as told:
        with pytest.raises(ApiError, match="no"):
            await told.begin()


async def test_what_fails_after_it_is_an_event_and_the_end() -> None:
    async def work(heard: Heard) -> Transcript:
        heard(0, result("one"))
        raise DeadlineExceeded("It took too long.")

    events = await said(work)
    assert [set(event) for event in events] == [{"type", "delta"}, {"error"}]
    assert events[-1]["error"] == {
        "message": "It took too long.",
        "type": "server_error",
        "param": None,
        "code": "deadline_exceeded",
    }


async def test_a_quiet_time_has_comments_but_not_before_the_first_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "QUIET_SECONDS", 0.02)
    rest = asyncio.Event()

    async def work(heard: Heard) -> Transcript:
        await asyncio.sleep(0.1)
        heard(0, result("one"))
        await rest.wait()
        return transcript("one")

    async with Stream(work, Details()) as told:
        await told.begin()
        events = [await anext(told) for _ in range(3)]
        assert events[0].startswith(b"data: ")
        assert events[1:] == [b": still at it\n\n"] * 2
        rest.set()
        assert b"transcript.text.done" in b"".join([event async for event in told])


async def test_leaving_it_cancels_the_work_and_waits_for_what_that_gives_back() -> None:
    given_back = False

    async def work(heard: Heard) -> Transcript:
        nonlocal given_back
        heard(0, result("one"))
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            given_back = True
        raise AssertionError

    async with Stream(work, Details()) as told:
        await told.begin()
    assert given_back


async def test_a_reply_whose_client_goes_away_gives_everything_back() -> None:
    gone = asyncio.Event()
    sent: list[Any] = []
    closed: list[str] = []

    async def work(heard: Heard) -> Transcript:
        heard(0, result("one"))
        try:
            await asyncio.sleep(60)
        finally:
            closed.append("work")
        raise AssertionError

    async def receive() -> Any:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    async with contextlib.AsyncExitStack() as stack:
        stack.callback(closed.append, "place")
        told = await stack.enter_async_context(Stream(work, Details()))
        await told.begin()
        reply = told.response(stack.pop_all())
    replying = asyncio.ensure_future(reply({"type": "http"}, receive, send))
    await eventually(lambda: len(sent) == 2)
    assert sent[0]["status"] == 200
    assert dict(sent[0]["headers"]) == {
        b"content-type": b"text/event-stream; charset=utf-8",
        b"cache-control": b"no-cache",
        b"x-accel-buffering": b"no",
    }
    assert closed == []
    gone.set()
    await replying
    assert closed == ["work", "place"]
    assert len(sent) == 2

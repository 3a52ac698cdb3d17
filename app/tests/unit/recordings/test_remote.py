import asyncio
import contextlib
import email.utils
import io
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from replies import Replier, Reply, replying, verbose

from hailo_whisper.failure import Failure
from hailo_whisper.formats import FORMATS
from hailo_whisper.recordings import tries
from hailo_whisper.recordings.progress import Progress
from hailo_whisper.recordings.remote import Address, Remote
from hailo_whisper.recordings.stop import Stop
from hailo_whisper.speech.transcript import Transcript


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "clip.wav"
    path.write_bytes(b"sound" * 1000)
    return path


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that would have been waited."""
    found: list[float] = []

    async def sleep(seconds: float) -> None:
        found.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return found


def send(url: str, path: Path, fields: dict[str, str] | None = None, **more: Any) -> Transcript:
    async def main() -> Transcript:
        async with Remote(Address(url, **more), fields or {}) as server:
            return await server.transcribe(path, Progress({path: 1}, io.StringIO()))

    return asyncio.run(main())


def error(status: int, message: str = "no", **headers: str) -> Reply:
    return Reply(status, {"error": {"message": message}}, {name.replace("_", "-"): value for name, value in headers.items()})


def field(replier: Replier, name: str) -> str | None:
    """A field of the last request."""
    _, found, after = replier.asked[-1].body.decode("latin-1").partition(f'name="{name}"\r\n\r\n')
    return after.split("\r\n")[0] if found else None


@pytest.mark.parametrize("end", ["", "/", "/v1", "/v1/"])
def test_a_recording_is_sent_and_its_transcript_comes_back(path: Path, end: str) -> None:
    with replying(Reply(body=verbose())) as replier:
        heard = send(f"{replier.url}{end}", path, {"model": "whisper-1", "language": "de"}, key="secret")
    assert (heard.text, heard.language, heard.duration) == ("Hello there.", "de", 2.5)
    assert FORMATS["srt"][0](heard) == "1\n00:00:00,500 --> 00:00:02,000\nHello there.\n\n"
    (asked,) = replier.asked
    assert asked.path == "/v1/audio/transcriptions"
    assert asked.headers["authorization"] == "Bearer secret"
    assert path.read_bytes() in asked.body
    assert [field(replier, name) for name in ("model", "language", "response_format")] == ["whisper-1", "de", "verbose_json"]


def test_no_key_is_sent_where_there_is_none(path: Path) -> None:
    with replying(Reply(body=verbose())) as replier:
        send(replier.url, path)
    assert "authorization" not in replier.asked[0].headers


def test_what_a_server_leaves_out_is_computed_or_unknown(path: Path) -> None:
    segments = [{"start": 0, "end": 1, "text": "One."}, {"start": 1, "end": 2, "text": "Two."}]
    with replying(Reply(body=verbose("One. Two.", segments=segments, language="xx"))) as replier:
        heard = send(replier.url, path)
    assert (heard.text, heard.language) == ("One. Two.", "xx")
    assert [segment.avg_logprob for segment in heard.segments] == [None, None]
    assert [segment.seek for segment in heard.segments] == [0, 100]
    assert all(segment.compression_ratio > 0 for segment in heard.segments)


@pytest.mark.parametrize("segments", [None, []])
def test_text_without_segments_is_one(segments: object, path: Path) -> None:
    with replying(Reply(body=verbose(segments=segments))) as replier:
        heard = send(replier.url, path)
    assert [(segment.start, segment.end, segment.text.strip()) for segment in heard.segments] == [(0, 2.5, "Hello there.")]


def test_silence_has_no_segments(path: Path) -> None:
    with replying(Reply(body=verbose("", segments=[]))) as replier:
        assert send(replier.url, path).segments == []


@pytest.mark.parametrize(("given", "waited"), [("7", 7.0), ("0.25", 0.25), ("599", 599.0), ("soon", 1.0)])
@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_asked_again_when_it_says(
    given: str, waited: float, status: int, path: Path, pauses: list[float]
) -> None:
    with replying(error(status, retry_after=given), Reply(body=verbose())) as replier:
        assert send(replier.url, path).text == "Hello there."
    assert pauses == [waited]
    assert len(replier.asked) == 2
    assert all(path.read_bytes() in asked.body for asked in replier.asked), "the whole recording is sent again"


def test_a_busy_server_that_says_later_than_anybody_waits_ends_the_run(path: Path, pauses: list[float]) -> None:
    sentence = (
        r"was busy for 0 s, and 9999 s more are longer than the 600 s of --patience\. It answers 503: .*the same command goes on"
    )
    with replying(error(503, retry_after="9999")) as replier, pytest.raises(Stop, match=sentence):
        send(replier.url, path)
    assert pauses == []


@pytest.mark.parametrize("status", [408, 502])
def test_nobody_waits_longer_than_patience_for_a_node_that_is_lost(status: int, path: Path, pauses: list[float]) -> None:
    with replying(error(status, retry_after="601")) as replier, pytest.raises(Failure, match=f"answers {status}"):
        send(replier.url, path)
    assert pauses == []


def test_a_busy_server_may_give_a_date(path: Path, pauses: list[float]) -> None:
    with replying(error(429, retry_after=email.utils.formatdate(time.time() + 60)), Reply(body=verbose())) as replier:
        send(replier.url, path)
    assert pauses[0] == pytest.approx(59, abs=5)


def test_a_server_that_stays_busy_is_given_up(path: Path, pauses: list[float]) -> None:
    with replying(error(429, "Try later.", retry_after="1")) as replier, pytest.raises(Stop, match=r"429: Try later.*--patience"):
        send(replier.url, path, patience=12)
    assert pauses == [1.0] * 12


def test_a_recording_that_nodes_die_of_is_given_up_alone(path: Path, pauses: list[float]) -> None:
    with replying(error(400), Reply(hang_up=True)) as replier:

        async def main() -> None:
            async with Remote(Address(replier.url), {}) as server:
                progress = Progress({path: 1}, io.StringIO())
                with pytest.raises(Failure, match="400"):
                    await server.transcribe(path, progress)
                with pytest.raises(Failure, match=r"broke 6 times over it.*journalctl") as caught:
                    await server.transcribe(path, progress)
                assert not isinstance(caught.value, Stop)

        asyncio.run(main())
    assert pauses == [1.0, 2.0, 4.0, 8.0, 15.0]


@pytest.mark.parametrize("status", [502, 504])
def test_a_gateway_that_has_lost_its_node_is_asked_again(status: int, path: Path, pauses: list[float]) -> None:
    with replying(*[error(status)] * 5, Reply(body=verbose())) as replier:
        assert send(replier.url, path).text == "Hello there."
    assert pauses == [1.0, 2.0, 4.0, 8.0, 15.0]
    with replying(error(status, "No node.")) as replier, pytest.raises(Failure, match=f"{status}: No node"):
        send(replier.url, path)


def test_what_took_longer_than_it_may_is_not_sent_again(path: Path, pauses: list[float]) -> None:
    """As our servers and our gateway say it: it would take as long again."""
    late = error(504, "It took too long.", x_should_retry="false")
    with replying(late) as replier, pytest.raises(Failure, match="504: It took too long"):
        send(replier.url, path)
    assert pauses == []


def test_a_server_that_was_there_is_waited_for(path: Path, pauses: list[float]) -> None:
    said = io.StringIO()

    async def main() -> None:
        with contextlib.ExitStack() as stack:
            # It keeps no connection, which a thread of it would go on to answer.
            replier = stack.enter_context(replying(Reply(body=verbose(), headers={"connection": "close"})))
            async with Remote(Address(replier.url, patience=100), {}) as server:
                progress = Progress({path: 1}, said)
                await server.transcribe(path, progress)
                await asyncio.to_thread(stack.close)
                with pytest.raises(Stop, match=r"has been away for 100 s.*--patience"):
                    await server.transcribe(path, progress)

    asyncio.run(main())
    assert sum(pauses) <= 100 < sum(pauses) + tries.LONGEST_GUESS
    assert said.getvalue().count("trying again in") == 1, "it is said once"


def test_what_may_pass_is_tried_again_and_not_for_ever(path: Path, pauses: list[float]) -> None:
    with replying(error(500), error(500), Reply(body=verbose())) as replier:
        assert send(replier.url, path).text == "Hello there."
    assert pauses == [1.0, 2.0]
    with replying(error(500, "It is on fire.")) as replier, pytest.raises(Failure, match="on fire") as caught:
        send(replier.url, path)
    assert not isinstance(caught.value, Stop)


def test_what_the_server_says_is_useless_is_not_tried_again(path: Path, pauses: list[float]) -> None:
    with replying(error(504, "Too slow.", x_should_retry="false")) as replier, pytest.raises(Failure, match="Too slow"):
        send(replier.url, path)
    assert (len(replier.asked), pauses) == (1, [])


def test_a_refused_recording_costs_only_itself(path: Path) -> None:
    with replying(error(400, "This is no sound.")) as replier, pytest.raises(Failure, match="400: This is no sound") as caught:
        send(replier.url, path)
    assert not isinstance(caught.value, Stop)
    with replying(error(413)) as replier, pytest.raises(Failure, match="too large"):
        send(replier.url, path)


@pytest.mark.parametrize(("status", "advice"), [(401, "--api-key"), (403, "--api-key"), (404, "--model")])
def test_what_would_refuse_every_recording_ends_the_run(status: int, advice: str, path: Path) -> None:
    with replying(error(status, "No.")) as replier, pytest.raises(Stop, match=rf"No\. .*{advice}"):
        send(replier.url, path)


def test_a_server_that_moved_ends_the_run(path: Path) -> None:
    with replying(Reply(301, "", {"location": "https://elsewhere/"})) as replier, pytest.raises(Stop, match="https://elsewhere/"):
        send(replier.url, path)


@pytest.mark.parametrize("body", [b"<html>hello</html>", {"text": "no more than this"}, [], b"\xff"])
def test_a_reply_that_is_no_transcription_ends_the_run(body: object, path: Path) -> None:
    with replying(Reply(body=body)) as replier, pytest.raises(Stop, match="no verbose_json"):
        send(replier.url, path)


def test_a_server_that_is_not_there_ends_the_run(path: Path, pauses: list[float]) -> None:
    with replying(Reply()) as replier:
        url = replier.url
    with pytest.raises(Stop, match=r"cannot be reached.*Check the address and that it runs"):
        send(url, path)
    assert len(pauses) == tries.TRIES - 1


def test_a_connection_that_breaks_is_tried_again(path: Path, pauses: list[float]) -> None:
    with replying(Reply(hang_up=True), Reply(body=verbose())) as replier:
        assert send(replier.url, path).text == "Hello there."
    assert len(pauses) == 1


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://localhost", "http://", "http://[", "nonsense"])
def test_what_is_no_address_is_said_to_be_none(url: str, path: Path, pauses: list[float]) -> None:
    with pytest.raises(Stop, match=r"http://host:port|cannot be reached"):
        send(url, path)


def test_a_server_that_does_not_answer_is_given_up(path: Path) -> None:
    never = threading.Event()
    try:
        with replying(Reply(body=verbose(), wait=never)) as replier:
            with pytest.raises(Failure, match="--timeout"):
                send(replier.url, path, timeout=0.2)
            never.set()
    finally:
        never.set()


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with replying(Reply(body=verbose())) as replier, pytest.raises(Failure, match="No such file"):
        send(replier.url, tmp_path / "not there.wav")

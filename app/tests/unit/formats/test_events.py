import json
import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hailo_whisper.formats import Details
from hailo_whisper.formats.events import Deltas, data, done
from hailo_whisper.speech.transcript import Segment, Token, Transcript, WindowResult

LOGPROBS = Details(logprobs=True)
# Of each window: the texts of its segments, as Whisper has them and as it should not.
HEARD = st.lists(st.lists(st.sampled_from([" one", " two ", "three", " ", "", "\n", " مرحبا", " 日本", "\u00a0x"]), max_size=3))


def segment(text: str) -> Segment:
    tokens = [Token(one, -0.5, [*one.encode()]) for one in text]
    return Segment(0.0, 1.0, text, [], 0.0, None, 1.0, None, 0, logprobs=tokens)


def results(windows: list[list[str]]) -> list[WindowResult]:
    return [WindowResult([segment(text) for text in texts], "en") for texts in windows]


def parsed(event: bytes) -> Any:
    assert event.startswith(b"data: ")
    assert event.endswith(b"\n\n")
    assert event.count(b"\n") == 2
    return json.loads(event[6:])


@given(HEARD, st.randoms(use_true_random=False))
def test_the_deltas_are_the_text_in_whatever_order_windows_are_heard(windows: list[list[str]], order: random.Random) -> None:
    found = [*enumerate(results(windows))]
    order.shuffle(found)
    deltas = Deltas(LOGPROBS)
    events = [parsed(event) for number, result in found if (event := deltas.take(number, result))]
    whole = Transcript([segment for result in results(windows) for segment in result.segments], "en", 2.0)
    last = parsed(done(whole, LOGPROBS))
    assert "".join(event["delta"] for event in events) == last["text"] == whole.text
    assert all(event["delta"] for event in events)
    assert {event["type"] for event in events} <= {"transcript.text.delta"}
    spelt = [byte for event in [last] for token in event["logprobs"] for byte in token["bytes"]]
    assert bytes(spelt).decode() == whole.text


def test_logprobs_come_with_their_delta() -> None:
    deltas = Deltas(LOGPROBS)
    first, second = (deltas.take(number, result) for number, result in enumerate(results([[" ab"], [" c"]])))
    assert first
    assert second
    assert [token["token"] for token in parsed(first)["logprobs"]] == ["a", "b"]
    assert [token["token"] for token in parsed(second)["logprobs"]] == [" ", "c"]


def test_a_window_that_is_heard_early_waits_for_those_before_it() -> None:
    deltas = Deltas(Details())
    one, two, three = results([[" one"], [], [" three"]])
    assert deltas.take(2, three) is None
    assert deltas.take(1, two) is None
    event = deltas.take(0, one)
    assert event
    assert parsed(event) == {"type": "transcript.text.delta", "delta": "one three"}


def test_silence_has_no_delta_and_an_end() -> None:
    assert Deltas(Details()).take(0, WindowResult([], "en")) is None
    assert parsed(done(Transcript([], "en", 1.2), Details())) == {
        "type": "transcript.text.done",
        "text": "",
        "usage": {"type": "duration", "seconds": 2},
    }


def test_an_event_is_one_line_whatever_its_text() -> None:
    assert data({"delta": "a\n\nb\r\u2028"}) == 'data: {"delta": "a\\n\\nb\\r\u2028"}\n\n'.encode()
    assert json.loads(data("half \ud800")[6:]) == "half \ud800"

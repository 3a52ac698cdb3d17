"""Whatever an engine answers, what comes out is sound or refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hailo_whisper.engines.failures import Nonsense
from hailo_whisper.engines.results import results
from hailo_whisper.speech.transcript import Token, Word
from hailo_whisper.speech.windows import Window

WINDOW = Window(16000, 5 * 16000)
SEGMENT: dict[str, Any] = {
    "start": 0.5,
    "end": 3.0,
    "text": " Hello.",
    "tokens": [1, 2],
    "temperature": 0.0,
    "avg_logprob": -0.2,
    "compression_ratio": 1.1,
    "no_speech_prob": None,
    "seek": 0,
}

WORD: dict[str, Any] = {"start": 1.0, "end": 2.0, "text": "Hello.", "probability": 0.9}
TOKEN: dict[str, Any] = {"text": " Hello", "logprob": -0.1, "bytes": [*b" Hello"]}


def answer(**changed: Any) -> dict[str, Any]:
    return {"results": [{"segments": [SEGMENT | changed], "language": "en", "fallbacks": 2}]}


def test_a_sound_answer_is_taken_as_it_is() -> None:
    (result,) = results(answer(), [WINDOW], 30)
    (segment,) = result.segments
    assert (result.language, result.fallbacks, segment.text, segment.start, segment.end) == ("en", 2, " Hello.", 0.5, 3.0)


def test_what_was_heard_in_the_padding_is_kept_within_the_window() -> None:
    (result,) = results(answer(start=4.2, end=29.9), [WINDOW], 30)
    assert (result.segments[0].start, result.segments[0].end) == (4.0, 4.0)


def test_words_and_tokens_come_with_it() -> None:
    late = WORD | {"start": 4.1, "end": 4.5, "probability": None}
    (result,) = results(answer(words=[WORD, late], logprobs=[TOKEN]), [WINDOW], 30)
    (segment,) = result.segments
    assert segment.words == [Word(1.0, 2.0, "Hello.", 0.9), Word(4.0, 4.0, "Hello.", None)]
    assert segment.logprobs == [Token(" Hello", -0.1, [*b" Hello"])]


@pytest.mark.parametrize(
    "changed",
    [
        {"start": float("nan")},
        {"end": float("inf")},
        {"start": -1.0},
        {"start": 3.5},
        {"end": 31.5},
        {"end": "3"},
        {"text": None},
        {"tokens": ["a"]},
        {"tokens": None},
        {"avg_logprob": float("-inf")},
        {"no_speech_prob": float("nan")},
        {"temperature": None},
        {"compression_ratio": float("nan")},
        {"colour": "red"},
        {"words": 7},
        {"words": [WORD | {"start": 2.5}]},
        {"words": [WORD | {"end": float("nan")}]},
        {"words": [WORD | {"start": -0.1}]},
        {"words": [WORD | {"end": 31.5}]},
        {"words": [WORD | {"text": None}]},
        {"words": [WORD | {"probability": 1.5}]},
        {"words": [WORD | {"probability": float("nan")}]},
        {"words": [WORD, WORD | {"start": 0.5}]},
        {"words": [WORD | {"colour": "red"}]},
        {"logprobs": "words"},
        {"logprobs": [TOKEN | {"text": 7}]},
        {"logprobs": [TOKEN | {"logprob": 0.1}]},
        {"logprobs": [TOKEN | {"logprob": float("-inf")}]},
        {"logprobs": [TOKEN | {"logprob": None}]},
        {"logprobs": [TOKEN | {"bytes": [256]}]},
        {"logprobs": [TOKEN | {"bytes": ["a"]}]},
        {"logprobs": [TOKEN | {"bytes": None}]},
    ],
    ids=str,
)
def test_nonsense_in_a_segment(changed: dict[str, Any]) -> None:
    with pytest.raises(Nonsense, match="its answer makes no sense"):
        results(answer(**changed), [WINDOW], 30)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, "it gave no results for 1 windows"),
        ({"results": None}, "it gave no results"),
        ({"results": []}, "it gave 0 results for 1 windows"),
        ({"results": [{}, {}]}, "it gave 2 results for 1 windows"),
        ({"results": [{"language": "en"}]}, "makes no sense"),
        ({"results": [{"segments": [], "language": 7}]}, "makes no sense"),
        ({"results": [{"segments": [], "language": "en", "fallbacks": 0, "colour": "red"}]}, "makes no sense"),
        ({"results": ["words"]}, "makes no sense"),
    ],
    ids=str,
)
def test_nonsense_around_it(data: dict[str, Any], said: str) -> None:
    with pytest.raises(Nonsense, match=said):
        results(data, [WINDOW], 30)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*SEGMENT, *WORD, *TOKEN, "words", "logprobs", "segments", "language"]), inner)
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_answer_is_sound_or_refused(found: Any) -> None:
    try:
        (result,) = results({"results": [found]}, [WINDOW], 30)
    except Nonsense:
        return
    assert all(0 <= segment.start <= segment.end <= 4.0 for segment in result.segments)

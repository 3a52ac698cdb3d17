"""What an engine cannot do is refused, and the refusal names the field."""

from dataclasses import replace
from typing import Any

import pytest

from hailo_whisper.api.demands import check
from hailo_whisper.api.errors import ApiError
from hailo_whisper.engines.engine import Capabilities, Options

ABLE = Capabilities(
    window_seconds=30,
    batch=8,
    lanes=1,
    express=False,
    languages=["en", "de"],
    detects_language=True,
    translates=True,
    prompts=True,
    hotwords=True,
    temperature=True,
    words=True,
    logprobs=True,
    unavailable=[],
)
ALL = Options(language="de", beam=5, prompt="x", temperature=0.5, task="translate", hotwords="y", words=True, logprobs=True)


def refused(options: Options, *, detect: bool = False, **lacking: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        check(options, replace(ABLE, **lacking), "tiny.en", detect=detect)
    assert caught.value.status == 400
    return caught.value


def test_an_engine_that_can_do_everything_does_it() -> None:
    check(ALL, ABLE, "base", detect=False)
    check(replace(ALL, language=None), ABLE, "base", detect=True)


@pytest.mark.parametrize(
    ("lacking", "param", "message"),
    [
        ("translates", "model", "The model tiny.en cannot translate. Configure a multilingual one (model.name)."),
        ("prompts", "prompt", "The model tiny.en cannot take a prompt on this machine. Leave the field `prompt` out."),
        (
            "hotwords",
            "keywords[]",
            "The model tiny.en cannot be told of words to expect on this machine. Leave the field `keywords[]` out.",
        ),
        (
            "temperature",
            "temperature",
            "The model tiny.en cannot guess more freely on this machine. Leave the field `temperature` out.",
        ),
        (
            "words",
            "timestamp_granularities[]",
            "The model tiny.en cannot tell when each word was said on this machine. "
            "Leave the field `timestamp_granularities[]` out.",
        ),
        (
            "logprobs",
            "include[]",
            "The model tiny.en cannot tell how probable each token was on this machine. Leave the field `include[]` out.",
        ),
    ],
)
def test_what_an_engine_cannot_do(lacking: str, param: str, message: str) -> None:
    error = refused(ALL, **{lacking: False})
    assert (error.message, error.param, error.code) == (message, param, "unsupported_value")


def test_an_engine_that_can_do_little_serves_who_asks_for_nothing_more() -> None:
    lacking = dict.fromkeys(("translates", "prompts", "hotwords", "temperature", "words", "logprobs", "detects_language"), False)
    check(Options(language="en", beam=5), replace(ABLE, **lacking), "tiny.en", detect=False)  # type: ignore[arg-type]
    # That the settings leave the language open is no demand of the request's, as long as there is but one.
    alone = replace(ABLE, languages=["en"], **lacking)  # type: ignore[arg-type]
    check(Options(language=None, beam=5), alone, "tiny.en", detect=False)


def test_a_language_that_is_left_open_is_asked_for_where_there_are_several_and_none_is_detected() -> None:
    with pytest.raises(ApiError, match="Name the one that is spoken in `language`") as caught:
        check(Options(language=None, beam=5), replace(ABLE, detects_language=False), "base", detect=False)
    assert (caught.value.status, caught.value.param) == (400, "language")


def test_a_language_that_the_model_does_not_know() -> None:
    error = refused(Options(language="ja", beam=5))
    assert error.message == "The model tiny.en does not know the language 'ja'. It knows: en, de."
    assert (error.param, error.code) == ("language", "unsupported_language")


def test_several_languages_for_a_model_that_does_not_detect_any() -> None:
    error = refused(Options(language=None, beam=5), detect=True, detects_language=False)
    assert error.message == "The model tiny.en does not detect languages. Name the one that is spoken in `language`."
    assert (error.param, error.code) == ("languages[]", "unsupported_value")

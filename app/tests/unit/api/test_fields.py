"""What the fields of a request mean, and what they cannot be."""

import pytest

from hailo_whisper.api.errors import ApiError
from hailo_whisper.api.fields import MOST_PROMPT, Fields, Task, parse
from hailo_whisper.api.form import Form
from hailo_whisper.engines.engine import Options
from hailo_whisper.formats import Details
from hailo_whisper.settings import parse as settings

SETTINGS = settings({"transcription": {"language": "de", "beam": 3}}, "test")


def parsed(*given: tuple[str, str], task: Task = "transcribe") -> Fields:
    fields: dict[str, list[str]] = {"model": ["whisper-1"]}
    for name, value in given:
        fields.setdefault(name, []).append(value)
    return parse(Form(fields), SETTINGS, task)


def refused(*given: tuple[str, str], task: Task = "transcribe") -> ApiError:
    with pytest.raises(ApiError) as caught:
        parsed(*given, task=task)
    assert caught.value.status == 400
    return caught.value


def test_what_holds_when_nothing_is_said() -> None:
    found = parsed()
    assert (found.response_format, found.stream, found.detect) == ("json", False, False)
    assert found.options == Options(language="de", beam=3)
    assert found.details == Details()


def test_everything_at_once() -> None:
    found = parsed(
        ("language", "en"),
        ("prompt", " Ada and Grace. "),
        ("keywords[]", "Hopper"),
        ("keywords[]", "Lovelace"),
        ("temperature", "0.3"),
        ("response_format", "verbose_json"),
        ("timestamp_granularities[]", "word"),
        ("timestamp_granularities[]", "segment"),
    )
    assert found.options == Options(
        language="en", beam=3, prompt="Ada and Grace.", temperature=0.3, hotwords="Hopper, Lovelace", words=True
    )
    assert found.details == Details(words=True)


@pytest.mark.parametrize("name", ["timestamp_granularities[]", "timestamp_granularities", "timestamp_granularities[0]"])
def test_words_alone_leave_the_segments_out(name: str) -> None:
    found = parsed(("response_format", "verbose_json"), (name, "word"))
    assert found.details == Details(segments=False, words=True)
    assert found.options.words


def test_a_temperature_next_to_nothing_is_nothing() -> None:
    assert parsed(("temperature", "1e-40")).options.temperature == 0


@pytest.mark.parametrize("name", ["include[]", "include"])
def test_logprobs(name: str) -> None:
    found = parsed((name, "logprobs"))
    assert found.options.logprobs
    assert found.details == Details(logprobs=True)


@pytest.mark.parametrize("value", ["true", "True", "1", " true "])
@pytest.mark.parametrize("response_format", ["json", "text"])
def test_a_stream(value: str, response_format: str) -> None:
    assert parsed(("stream", value), ("response_format", response_format)).stream


@pytest.mark.parametrize("value", ["false", "False", "0", "null", ""])
def test_no_stream(value: str) -> None:
    assert not parsed(("stream", value), ("response_format", "srt")).stream


class TestLanguage:
    @pytest.mark.parametrize(
        ("value", "code"),
        [
            ("en", "en"),
            ("EN", "en"),
            ("english", "en"),
            ("Spanish", "es"),
            ("haitian creole", "ht"),
            ("yue", "yue"),
            ("", "de"),
            # What Whisper has another code or another name for.
            ("jv", "jw"),
            ("nb", "no"),
            ("Castilian", "es"),
        ],
    )
    def test_by_its_code_or_its_name(self, value: str, code: str) -> None:
        assert parsed(("language", value)).options.language == code

    def test_one_of_languages_is_that_language(self) -> None:
        assert parsed(("languages[]", "fr")).options.language == "fr"
        assert parsed(("languages", "French"), ("languages[]", "fr")).options.language == "fr"

    def test_one_of_several_is_detected(self) -> None:
        found = parsed(("languages[]", "fr"), ("languages[]", "en"))
        assert (found.options.language, found.detect) == (None, True)

    def test_the_one_that_is_sure_wins(self) -> None:
        found = parsed(("languages[]", "fr"), ("languages[]", "en"), ("language", "it"))
        assert (found.options.language, found.detect) == ("it", False)

    @pytest.mark.parametrize("name", ["language", "languages[]"])
    @pytest.mark.parametrize("value", ["xx", "en-US", "eng", "klingon", '["en"]', "x" * 5000])
    def test_what_is_none(self, name: str, value: str) -> None:
        error = refused((name, value))
        assert error.message == (
            f"Invalid language '{value[:100]}'. Language parameter must be specified in ISO-639-1 format, such as `en`, "
            "or as an English name, such as `english`."
        )
        assert (error.param, error.code) == (name, "invalid_language_format")


class TestTranslation:
    def test_the_language_is_detected_whatever_is_configured(self) -> None:
        found = parsed(task="translate")
        assert (found.options.language, found.options.task, found.details.task) == (None, "translate", "translate")
        assert not found.detect, "nobody demanded it"

    def test_the_language_that_is_spoken_may_be_said(self) -> None:
        assert parsed(("language", "fr"), task="translate").options.language == "fr"

    def test_what_is_of_transcriptions_only_is_ignored(self) -> None:
        found = parsed(
            ("stream", "perhaps"),
            ("include[]", "logprobs"),
            ("timestamp_granularities[]", "word"),
            ("chunking_strategy[type]", "odd"),
            ("keywords[]", "Ada"),
            ("known_speaker_names[]", "Ada"),
            task="translate",
        )
        assert found == parsed(task="translate")


@pytest.mark.parametrize(
    ("given", "message", "param", "code"),
    [
        (
            [("response_format", "diarized_json")],
            "response_format 'diarized_json' is not supported: this server does not tell speakers apart. "
            "Use one of json, text, srt, verbose_json, vtt.",
            "response_format",
            "unsupported_value",
        ),
        (
            [("known_speaker_names[]", "Ada")],
            "`known_speaker_names[]` is not supported: this server does not tell speakers apart. Leave it out.",
            "known_speaker_names[]",
            "unsupported_value",
        ),
        (
            [("known_speaker_references", "data:audio/wav;base64,AAAA")],
            "`known_speaker_references[]` is not supported: this server does not tell speakers apart. Leave it out.",
            "known_speaker_references[]",
            "unsupported_value",
        ),
        (
            [("timestamp_granularities[]", "sentence"), ("response_format", "verbose_json")],
            "timestamp_granularities[] takes `word` and `segment`, each in a field of its own, and is 'sentence'.",
            "timestamp_granularities[]",
            "unsupported_value",
        ),
        (
            [("timestamp_granularities", '["word"]'), ("response_format", "verbose_json")],
            "timestamp_granularities[] takes `word` and `segment`, each in a field of its own, and is '[\"word\"]'.",
            "timestamp_granularities[]",
            "unsupported_value",
        ),
        (
            [("timestamp_granularities[]", "word")],
            "response_format must be verbose_json if timestamp_granularities[] is provided",
            "timestamp_granularities[]",
            None,
        ),
        (
            [("include[]", "item.input_audio")],
            "include[] takes `logprobs`, and is 'item.input_audio'.",
            "include[]",
            "unsupported_value",
        ),
        (
            [("include[]", "logprobs"), ("response_format", "text")],
            "include[] needs the response_format json. Use that, or leave include[] out.",
            "include[]",
            "unsupported_value",
        ),
        ([("stream", "perhaps")], "stream must be `true` or `false`, and is 'perhaps'.", "stream", "unsupported_value"),
        (
            [("keywords[]", "a")] * 101,
            "keywords[] is there 101 times, and may be 100 times.",
            "keywords[]",
            "array_above_max_length",
        ),
        (
            [("keywords[]", "a" * 40_000)] * 2,
            "keywords[] has 80002 characters, and may have 65536. Send what matters most.",
            "keywords[]",
            "string_above_max_length",
        ),
        (
            [("prompt", "é" * 65_537)],
            "prompt has 65537 characters, and may have 65536. Send what matters most.",
            "prompt",
            "string_above_max_length",
        ),
        ([("temperature", "1.5")], "temperature must be a number from 0 to 1, and is '1.5'.", "temperature", None),
        ([("temperature", "-1")], "temperature must be a number from 0 to 1, and is '-1'.", "temperature", None),
        ([("temperature", "hot")], "temperature must be a number from 0 to 1, and is 'hot'.", "temperature", None),
        (
            [("temperature", "0"), ("temperature", "1")],
            "The field `temperature` is there 2 times. Send it once.",
            "temperature",
            "duplicate_field",
        ),
    ],
    ids=lambda value: "-".join(str(name) for name, _ in value)[:60] if isinstance(value, list) else "",
)
def test_what_it_cannot_be(given: list[tuple[str, str]], message: str, param: str, code: str | None) -> None:
    error = refused(*given)
    assert (error.message, error.param, error.code) == (message, param, code)


@pytest.mark.parametrize("response_format", ["srt", "vtt", "verbose_json"])
def test_what_cannot_be_streamed(response_format: str) -> None:
    error = refused(("stream", "true"), ("response_format", response_format))
    assert error.message == f"{response_format} cannot be streamed. Use the response_format json, or leave stream out."
    assert (error.param, error.code) == ("stream", "unsupported_value")


@pytest.mark.parametrize(
    "name", ["language", "prompt", "response_format", "stream", "temperature", "chunking_strategy", "chunking_strategy[type]"]
)
def test_a_field_of_one_value_that_is_there_twice(name: str) -> None:
    error = refused((name, ""), (name, ""))
    assert (error.message, error.param) == (f"The field `{name}` is there 2 times. Send it once.", name)


def test_the_longest_prompt() -> None:
    assert parsed(("prompt", "x" * MOST_PROMPT)).options.prompt == "x" * MOST_PROMPT


def test_a_hundred_keywords() -> None:
    assert parsed(*[("keywords[]", "a")] * 100).options.hotwords == ", ".join("a" * 100)


def test_unknown_fields_are_ignored() -> None:
    assert parsed(("user", "ada"), ("user", "twice"), ("languages[0]x", "")) == parsed()

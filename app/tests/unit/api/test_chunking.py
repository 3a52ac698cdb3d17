"""What a request may say about the way its speech is found."""

import pytest

from hailo_whisper.api.chunking import chunking
from hailo_whisper.api.errors import ApiError
from hailo_whisper.api.form import Form
from hailo_whisper.settings import Settings, parse
from hailo_whisper.speech.detection import Detection

DEFAULT = parse({"vad": {"threshold": 0.4, "min_silence_ms": 200, "min_speech_ms": 100, "speech_pad_ms": 500}}, "test")
OFF = parse({"vad": {"enabled": False}}, "test")


def strategy(settings: Settings, **given: str) -> tuple[Detection | None, float]:
    return chunking(Form({name: [value] for name, value in given.items()}), settings.vad)


@pytest.mark.parametrize("value", [None, "", "auto", "null"])
def test_the_settings_hold_unless_it_says_otherwise(value: str | None) -> None:
    assert strategy(DEFAULT, **({} if value is None else {"chunking_strategy": value})) == (Detection(0.4, 0.1, 0.2), 0.5)


def test_nothing_is_detected_when_that_is_off() -> None:
    assert strategy(OFF, chunking_strategy="auto") == (None, 0.0)


JSON = '{"type": "server_vad", "threshold": 0.7, "prefix_padding_ms": 300, "silence_duration_ms": 250}'
NESTED = {
    "chunking_strategy[type]": "server_vad",
    "chunking_strategy[threshold]": "0.7",
    "chunking_strategy[prefix_padding_ms]": "300",
    "chunking_strategy[silence_duration_ms]": "250",
}


@pytest.mark.parametrize("given", [{"chunking_strategy": JSON}, NESTED], ids=["json", "nested"])
@pytest.mark.parametrize("of", [DEFAULT, OFF], ids=["on", "off"])
def test_server_vad_in_both_its_forms(given: dict[str, str], of: Settings) -> None:
    detection, pad = strategy(of, **given)
    assert detection
    assert (detection.threshold, detection.min_silence, pad) == (0.7, 0.25, 0.3)


def test_what_server_vad_leaves_out_comes_from_the_settings() -> None:
    given = '{"type": "server_vad", "threshold": 0.9}'
    assert strategy(DEFAULT, chunking_strategy=given) == (Detection(0.9, 0.1, 0.2), 0.5)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"chunking_strategy": "always"}, "'always' is neither `auto` nor an object of JSON"),
        ({"chunking_strategy": "[1]"}, "is neither `auto` nor an object"),
        ({"chunking_strategy": '{"type": "server_vad"'}, "is neither `auto` nor an object"),
        ({"chunking_strategy": "[" * 100_000}, "is neither `auto` nor an object"),
        ({"chunking_strategy": '{"threshold": 0.5}'}, "an object of it needs the type `server_vad`"),
        ({"chunking_strategy[type]": "semantic_vad"}, "needs the type `server_vad`"),
        ({"chunking_strategy": '{"type": "server_vad", "treshold": 0.5}'}, "it has no 'treshold'; it takes threshold, "),
        ({"chunking_strategy": '{"type": "server_vad", "threshold": 2}'}, "threshold must be a number from 0 to 1, and is 2"),
        ({"chunking_strategy": '{"type": "server_vad", "threshold": true}'}, "threshold must be a number"),
        ({"chunking_strategy": '{"type": "server_vad", "threshold": NaN}'}, "threshold must be a number"),
        (
            {"chunking_strategy[type]": "server_vad", "chunking_strategy[prefix_padding_ms]": "much"},
            "prefix_padding_ms must be a number from 0 to 5000, and is 'much'",
        ),
        (
            {"chunking_strategy[type]": "server_vad", "chunking_strategy[silence_duration_ms]": "-1"},
            "silence_duration_ms must be",
        ),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_it_cannot_be(given: dict[str, str], said: str) -> None:
    with pytest.raises(ApiError) as refused:
        strategy(DEFAULT, **given)
    assert said in refused.value.message
    assert refused.value.message.endswith("Leave it out, or send `auto`.")
    assert (refused.value.status, refused.value.param, refused.value.code) == (400, "chunking_strategy", "unsupported_value")

from faster_whisper.tokenizer import _LANGUAGE_CODES

from hailo_whisper.speech.languages import LANGUAGES, name


def test_every_language_of_whisper_and_no_other() -> None:
    assert set(LANGUAGES) == set(_LANGUAGE_CODES)


def test_names() -> None:
    assert name("en") == "english"
    assert name("yue") == "cantonese"
    assert name("ht") == "haitian creole"
    assert name("tlh") == "tlh"

"""Translations translate, or are refused."""

from pathlib import Path

import openai
import pytest
from heard import words
from openai.types.audio import TranslationVerbose

# The SDK calls translations that, because the newer models of the original have none.
pytestmark = pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")


@pytest.mark.rule("translations", "model")
def test_spanish_becomes_english(multilingual: openai.OpenAI, spanish: Path) -> None:
    heard = multilingual.audio.transcriptions.create(model="whisper-1", file=spanish, response_format="verbose_json")
    assert heard.language == "spanish"
    assert "siento" in words(heard.text)
    translated = multilingual.audio.translations.create(model="whisper-1", file=spanish, response_format="verbose_json")
    assert isinstance(translated, TranslationVerbose)
    assert translated.language == "english"
    assert "sorry" in words(translated.text), translated.text
    assert "siento" not in words(translated.text)
    assert (translated.model_extra or {})["task"] == "translate"
    assert translated.duration == pytest.approx(heard.duration)


@pytest.mark.rule("translations")
@pytest.mark.parametrize("response_format", ["json", "text", "srt", "vtt"])
def test_in_every_format(multilingual: openai.OpenAI, spanish: Path, response_format: str) -> None:
    found = multilingual.audio.translations.create(
        model="whisper-1",
        file=spanish,
        response_format=response_format,  # type: ignore[call-overload]
        prompt="On the telephone.",
        temperature=0,
    )
    text = found if isinstance(found, str) else found.text
    assert "please" in words(text), text


@pytest.mark.rule("translations", "translations.model")
def test_a_model_that_knows_english_only_refuses(client: openai.OpenAI, clip: bytes) -> None:
    (model,) = client.models.list().data
    if (model.model_extra or {})["capabilities"]["translates"]:
        pytest.skip(f"the model {model.id} translates")
    with pytest.raises(openai.BadRequestError) as caught:
        client.audio.translations.create(model="whisper-1", file=clip)
    assert (caught.value.param, caught.value.code) == ("model", "unsupported_value")
    assert model.id in caught.value.message

"""The parts that need no model; the contract tests transcribe with a real one."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import ctranslate2
import numpy as np
import pytest
from fake_whisper import BEGIN, FakeTokenizer, FakeWhisper, sound
from faster_whisper.feature_extractor import FeatureExtractor

from hailo_whisper.accelerators import cpu
from hailo_whisper.engines import cuda
from hailo_whisper.engines.ctranslate2 import CTranslate2Engine, lanes
from hailo_whisper.engines.engine import Capabilities, ModelConfig, Options
from hailo_whisper.engines.trouble import Trouble
from hailo_whisper.engines.whisper import padded
from hailo_whisper.speech.waveform import RATE

ENGLISH = Options(language="en", beam=3)
pytestmark = pytest.mark.usefixtures("fakes")


def test_capabilities_are_those_of_the_model(engine: CTranslate2Engine, model: FakeWhisper, tmp_path: Path) -> None:
    assert engine.capabilities == Capabilities(
        30.0,
        batch=8,
        lanes=2,
        express=True,
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
    engine.load(ModelConfig(tmp_path, "int8", 2, batch=3))
    assert engine.capabilities.batch == 3


def test_without_alignment_heads_there_are_no_words(engine: CTranslate2Engine, tmp_path: Path) -> None:
    for content in ("{}", "this is no JSON"):
        (tmp_path / "config.json").write_text(content)
        engine.load(ModelConfig(tmp_path, "int8", 2))
        assert (engine.capabilities.words, engine.capabilities.logprobs) == (False, False)


def test_a_model_that_was_cut_down_or_knows_english_only_does_not_translate(
    engine: CTranslate2Engine, model: FakeWhisper, tmp_path: Path
) -> None:
    model.n_mels = 128
    assert engine.capabilities.translates
    engine._whisper._heads = [2, 3]
    assert not engine.capabilities.translates, "turbo has four layers of large-v3"
    model.n_mels = 80
    assert engine.capabilities.translates, "and so has tiny, which was trained to"
    engine._whisper.multilingual = False
    assert not engine.capabilities.translates
    with pytest.raises(ValueError, match="the model does not translate"):
        engine.transcribe([sound(2)], Options(language="en", beam=1, task="translate"))


def test_the_model_is_loaded_from_the_folder_and_from_nowhere_else(engine: CTranslate2Engine, tmp_path: Path) -> None:
    assert engine._whisper._model.path == str(tmp_path)
    assert engine._whisper._model.how == {
        "device": "cpu",
        "device_index": 0,
        "compute_type": "int8",
        "cpu_threads": 1,
        "num_workers": 3,
        "local_files_only": True,
    }


def test_a_gpu_is_asked_for_when_it_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []

    @contextlib.contextmanager
    def usable(model: Path, index: int) -> Iterator[None]:
        assert (model, index) == (tmp_path, 1)
        loaded.append("libraries")
        yield
        loaded.append("model")

    monkeypatch.setattr(cuda, "usable", usable)
    monkeypatch.setattr(ctranslate2, "get_supported_compute_types", lambda *_: {"int8_float16"})
    engine = CTranslate2Engine()
    engine.load(ModelConfig(tmp_path, "int8_float16", 2, device="cuda", device_index=1))
    assert loaded == ["libraries", "model"]
    how = engine._whisper._model.how
    assert (how["device"], how["device_index"]) == ("cuda", 1)


@pytest.mark.parametrize(
    ("device", "workers", "expected"), [("cpu", 0, 4), ("cpu", 6, 6), ("cuda", 0, 2), ("cuda", 1, 1), ("cuda", 5, 5)]
)
def test_a_gpu_has_lanes_of_its_own_number_and_they_may_be_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, workers: int, expected: int
) -> None:
    monkeypatch.setattr(cuda, "usable", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(ctranslate2, "get_supported_compute_types", lambda *_: {"int8"})
    engine = CTranslate2Engine()
    engine.load(ModelConfig(tmp_path, "int8", 8, workers=workers, device=device))
    how = engine._whisper._model.how
    assert (engine.capabilities.lanes, how["num_workers"]) == (expected, expected + 1), "and the express"
    assert how["cpu_threads"] == max(8 // expected, 1)


@pytest.mark.parametrize(("threads", "expected"), [(1, 1), (2, 2), (3, 1), (4, 2), (8, 4), (64, 4)])
def test_lanes_share_the_threads(threads: int, expected: int) -> None:
    assert lanes(threads) == expected


def test_no_threads_means_one_for_each_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "cores", lambda: 8)
    engine = CTranslate2Engine()
    engine.load(ModelConfig(tmp_path, "int8", 0))
    how = engine._whisper._model.how
    assert (how["cpu_threads"], how["num_workers"]) == (2, 5)


def test_a_name_is_no_folder_and_is_not_fetched(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="none is not a folder"):
        CTranslate2Engine().load(ModelConfig(tmp_path / "none", "int8", 0))


def test_the_options_reach_the_decoder(engine: CTranslate2Engine, model: FakeWhisper) -> None:
    (heard,) = engine.transcribe([sound(2)], Options(language="en", beam=3, prompt=" Austen "))
    assert (heard.language, heard.fallbacks, [segment.text for segment in heard.segments]) == ("en", 0, ["yes"])
    (asked,) = model.asked
    assert asked["prompts"] == [[900, *map(ord, " Austen"), ord("e")]]
    assert (asked["beam_size"], asked["suppress_tokens"], asked["return_no_speech_prob"]) == (3, (7,), True)


@pytest.mark.parametrize(("language", "spoken"), [("en", "en"), (None, "de")])
def test_a_translation_is_asked_for_in_the_spoken_language(
    engine: CTranslate2Engine, model: FakeWhisper, language: str | None, spoken: str
) -> None:
    (heard,) = engine.transcribe([sound(2)], Options(language, 3, task="translate", words=True))
    assert heard.language == spoken
    assert model.asked[0]["prompts"] == [[ord(spoken[0]), ord("=")]]
    assert model.aligned[0]["start"] == [ord(spoken[0]), ord("=")]


@pytest.mark.parametrize(
    ("prompt", "hotwords", "expected"),
    [
        (None, " Hailo, Gumbo ", " Hailo, Gumbo"),
        ("before", "Hailo", " Hailo before"),
        ("p" * 300, None, "p" * 223),
        (None, "h" * 300, " " + "h" * 222),
        ("p" * 300, "h" * 300, " " + "h" * 110 + "p" * 112),
        ("p" * 300, "h" * 9, " " + "h" * 9 + "p" * 213),
        ("  ", "\n", ""),
    ],
)
def test_hotwords_and_prompt_leave_half_of_the_decoder_for_the_answer(
    engine: CTranslate2Engine, prompt: str | None, hotwords: str | None, expected: str
) -> None:
    assert engine._whisper.previous(prompt, hotwords) == [*map(ord, expected)]


def test_no_control_token_comes_from_a_prompt(engine: CTranslate2Engine) -> None:
    assert engine._whisper.previous(f"a{chr(FakeTokenizer.eot)}b{chr(BEGIN)}", None) == [*map(ord, " ab")]


def test_a_temperature_samples_and_takes_the_likeliest(engine: CTranslate2Engine, model: FakeWhisper) -> None:
    (heard,) = engine.transcribe([sound(2)], Options(language="en", beam=3, temperature=0.4))
    assert (model.asked[0]["beam_size"], model.asked[0]["sampling_temperature"], model.asked[0]["num_hypotheses"]) == (1, 0.4, 5)
    assert heard.segments[0].temperature == 0.4


@pytest.mark.parametrize(("seconds", "frames"), [(1, 800), (5, 800), (6, 900), (29, 3000), (30, 3000)])
def test_the_encoder_is_given_the_speech_and_a_margin(
    engine: CTranslate2Engine, model: FakeWhisper, seconds: float, frames: int
) -> None:
    engine.transcribe([sound(seconds)], ENGLISH)
    assert model.contexts == [frames]
    assert model.asked[0]["shape"] == (1, frames // 2, 4)


def test_the_margin_is_silence_as_whisper_knows_it(engine: CTranslate2Engine) -> None:
    """Samples of 0 after the speech give the same features; the frames that see the edge are left out."""
    filled = padded(engine._whisper.features(sound(2)), 800)
    expected = FeatureExtractor()(np.pad(sound(2), (0, 6 * RATE)))[:, :800]
    np.testing.assert_allclose(filled[:, :198], expected[:, :198], atol=1e-4)
    np.testing.assert_allclose(filled[:, 203:], expected[:, 203:], atol=1e-4)


def test_windows_of_about_one_length_are_decoded_together(engine: CTranslate2Engine, model: FakeWhisper) -> None:
    heard = engine.transcribe([sound(2), sound(26), sound(4), sound(25)], ENGLISH)
    assert [asked["shape"][:2] for asked in model.asked] == [(2, 1450), (2, 400)]
    assert [round(one.segments[0].end) for one in heard] == [2, 26, 4, 25]


def test_a_batch_is_no_larger_than_its_memory(engine: CTranslate2Engine, model: FakeWhisper) -> None:
    engine.transcribe([sound(27)] * 5, ENGLISH)
    assert all(windows * frames / 50 <= 72 for windows, frames, _ in (asked["shape"] for asked in model.asked))
    assert sum(asked["shape"][0] for asked in model.asked) == 5


def test_the_language_is_detected_when_none_is_given(engine: CTranslate2Engine, model: FakeWhisper) -> None:
    (heard,) = engine.transcribe([sound(2)], Options(language=None, beam=1))
    assert heard.language == "de"
    assert model.asked[0]["prompts"] == [[ord("d")]]
    engine._whisper.multilingual = False
    engine._whisper.languages = ["en"]
    assert engine.transcribe([sound(2)], Options(language=None, beam=1))[0].language == "en"


def test_close_drops_the_model(engine: CTranslate2Engine) -> None:
    engine.close()
    assert engine._loaded is None
    with pytest.raises(RuntimeError, match="no model is loaded"):
        engine.transcribe([sound(2)], ENGLISH)


def test_a_compute_type_that_the_processor_lacks(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match=r"This processor does not compute in float16 .* It does in float32, int.*or auto\.$"):
        CTranslate2Engine().load(ModelConfig(tmp_path, "float16", 2))

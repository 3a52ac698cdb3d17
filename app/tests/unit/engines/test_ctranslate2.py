"""The parts that need no model; the contract tests transcribe with a real one."""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import ctranslate2
import numpy as np
import pytest
import scripted_gpu
from fake_whisper import BEGIN, FakeTokenizer, FakeWhisper, install, result
from faster_whisper.feature_extractor import FeatureExtractor
from scripted_gpu import Gpu, GpuWhisper

from hailo_whisper.accelerators import cuda_memory
from hailo_whisper.engines import cuda
from hailo_whisper.engines.ctranslate2 import BATCH_SECONDS, CTranslate2Engine, lanes
from hailo_whisper.engines.engine import Capabilities, ModelConfig, Options, Strain
from hailo_whisper.engines.trouble import DeviceTrouble, NoMemory, Trouble
from hailo_whisper.engines.whisper import padded
from hailo_whisper.speech.transcript import Token, Word
from hailo_whisper.speech.waveform import RATE, Samples

ENGLISH = Options(language="en", beam=3)


@pytest.fixture(autouse=True)
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch.setattr)


@pytest.fixture
def engine(tmp_path: Path) -> CTranslate2Engine:
    (tmp_path / "config.json").write_text('{"alignment_heads": [[3, 1], [5, 2]]}')
    engine = CTranslate2Engine()
    engine.load(ModelConfig(tmp_path, "int8", 2, margin_seconds=3.0, least_seconds=8.0))
    return engine


@pytest.fixture
def model(engine: CTranslate2Engine) -> FakeWhisper:
    whisper: FakeWhisper = engine._whisper._model.model
    return whisper


def sound(seconds: float) -> Samples:
    return np.sin(np.arange(round(seconds * RATE), dtype=np.float32) / 5) * np.float32(0.3)


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
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
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


def test_what_looks_wrong_is_decoded_again_in_full_context(engine: CTranslate2Engine, model: FakeWhisper) -> None:
    model.answer = lambda i, asked: result("again and " * 20) if i == 1 and asked["shape"][1] == 400 else result("fine")
    heard = engine.transcribe([sound(2), sound(2.1), sound(2.2)], ENGLISH)
    assert [(one.segments[0].text, one.fallbacks) for one in heard] == [("fine", 0), ("fine", 1), ("fine", 0)]
    assert [asked["shape"][:2] for asked in model.asked] == [(3, 400), (1, 1500)]


def test_the_ladder_goes_up_until_a_result_is_good(engine: CTranslate2Engine, model: FakeWhisper) -> None:
    model.answer = lambda _, asked: result("good") if asked.get("sampling_temperature") == 0.4 else result("bad", logprob=-2)
    (heard,) = engine.transcribe([sound(2)], ENGLISH)
    assert [asked.get("sampling_temperature", 0) for asked in model.asked] == [0, 0, 0.2, 0.4]
    assert (heard.segments[0].text, heard.segments[0].temperature, heard.fallbacks) == ("good", 0.4, 3)


def test_at_the_end_of_the_ladder_the_best_try_counts(engine: CTranslate2Engine, model: FakeWhisper) -> None:
    model.answer = lambda _, asked: result("x", logprob=-1.5 - abs(asked.get("sampling_temperature", 0) - 0.6))
    (heard,) = engine.transcribe([sound(2)], ENGLISH)
    assert (heard.segments[0].temperature, heard.fallbacks, len(model.asked)) == (0.6, 6, 7)


def test_with_a_temperature_only_the_context_may_grow(engine: CTranslate2Engine, model: FakeWhisper) -> None:
    model.answer = lambda *_: result("bad", logprob=-2)
    engine.transcribe([sound(2)], Options(language="en", beam=1, temperature=0.8))
    assert [(asked["shape"][1], asked["sampling_temperature"]) for asked in model.asked] == [(400, 0.8), (1500, 0.8)]


def test_silence_is_believed_in_full_context_only(engine: CTranslate2Engine, model: FakeWhisper) -> None:
    model.answer = lambda *_: result("thank you", logprob=-2, no_speech=0.9)
    (heard,) = engine.transcribe([sound(2)], ENGLISH)
    assert heard.segments == []
    assert [asked["shape"][1] for asked in model.asked] == [400, 1500]


def test_noise_of_which_no_try_makes_sense_has_no_words(engine: CTranslate2Engine, model: FakeWhisper) -> None:
    model.answer = lambda *_: result("How to Install the", logprob=-2.4, no_speech=0.38)
    (heard,) = engine.transcribe([sound(2)], ENGLISH)
    assert (heard.segments, heard.fallbacks) == ([], 6)


def test_a_loop_is_cut_off_and_tried_again(engine: CTranslate2Engine, model: FakeWhisper) -> None:
    model.answer = lambda _, asked: result("abcdefg" * 12) if asked["shape"][1] == 400 else result("fine")
    (heard,) = engine.transcribe([sound(1)], ENGLISH)
    # CTranslate2 makes half as many.
    assert model.asked[0]["max_length"] == 2 * 64
    assert heard.segments[0].text == "fine"


def test_what_was_left_unheard_is_heard_next(engine: CTranslate2Engine, model: FakeWhisper) -> None:
    answers = iter([result("one", until=4.0), result("two", until=5.9)])
    model.answer = lambda *_: next(answers)
    (heard,) = engine.transcribe([sound(10)], ENGLISH)
    assert [(segment.text, segment.start, round(segment.end, 2), segment.seek) for segment in heard.segments] == [
        ("one", 0.0, 4.0, 0),
        ("two", 4.0, 9.9, 400),
    ]
    assert model.contexts == [1300, 900]


def test_a_rest_that_is_not_understood_is_left_out(engine: CTranslate2Engine, model: FakeWhisper) -> None:
    model.answer = lambda *_: result("one", until=4.0) if len(model.asked) == 1 else result("hm", logprob=-3)
    (heard,) = engine.transcribe([sound(10)], ENGLISH)
    assert [segment.text for segment in heard.segments] == ["one"]


def test_silence_in_full_context_is_not_undone_by_a_better_guess(engine: CTranslate2Engine, model: FakeWhisper) -> None:
    def answer(_: int, asked: dict[str, Any]) -> Any:
        return (
            result("hm", logprob=-1.1, no_speech=0.5) if asked["shape"][1] == 400 else result("hm", logprob=-1.3, no_speech=0.9)
        )

    model.answer = answer
    assert engine.transcribe([sound(2)], ENGLISH)[0].segments == []


def test_a_long_prompt_leaves_less_for_the_answer(engine: CTranslate2Engine, model: FakeWhisper) -> None:
    engine.transcribe([sound(25)], ENGLISH)
    engine.transcribe([sound(25)], Options(language="en", beam=1, prompt="x" * 300))
    assert [asked["max_length"] for asked in model.asked] == [448, 448]


def test_what_a_cut_off_decoding_left_is_heard_next(engine: CTranslate2Engine, model: FakeWhisper) -> None:
    cut_off = result("".join(chr(33 + n % 90) for n in range(224)), logprob=-0.1)
    cut_off.sequences_ids[0].insert(120, BEGIN + 150)
    # The ladder has seven rungs; what is left of 5.6 s after 3 s comes next.
    answers = iter([cut_off] * 7 + [result("rest")])
    model.answer = lambda *_: next(answers)
    (heard,) = engine.transcribe([sound(5.6)], ENGLISH)
    assert [(len(segment.text), segment.start) for segment in heard.segments] == [(119, 0.0), (4, 3.0)]


def test_nothing_is_encoded_twice_in_one_context(engine: CTranslate2Engine, model: FakeWhisper) -> None:
    model.answer = lambda *_: result("bad", logprob=-2)
    engine.transcribe([sound(2), sound(2.2)], Options(None, 1, words=True))
    assert model.contexts == [800, 800, 3000, 3000], "for the language, the ladder and the words"


WORDS = Options(language="en", beam=1, words=True, logprobs=True)


def test_words_and_tokens_come_when_they_are_asked_for(engine: CTranslate2Engine, model: FakeWhisper) -> None:
    model.answer = lambda *_: result(" it is.")
    (plain,) = engine.transcribe([sound(2)], ENGLISH)
    assert (plain.segments[0].words, plain.segments[0].logprobs, model.aligned) == (None, None, [])
    (heard,) = engine.transcribe([sound(2)], WORDS)
    (segment,) = heard.segments
    assert [replace(word, start=round(word.start, 2), end=round(word.end, 2)) for word in segment.words or []] == [
        Word(0.2, 0.6, "it", 0.5),
        Word(0.8, 1.2, "is.", 0.5),
    ]
    assert (round(segment.start, 2), round(segment.end, 2)) == (0.2, 1.2), "the segment is as long as its words"
    assert segment.logprobs == [Token(letter, math.log(0.5), [ord(letter)]) for letter in " it is."]


def test_words_alone_and_tokens_alone(engine: CTranslate2Engine, model: FakeWhisper) -> None:
    (words,) = engine.transcribe([sound(2)], Options(language="en", beam=1, words=True))
    (tokens,) = engine.transcribe([sound(2)], Options(language="en", beam=1, logprobs=True))
    assert words.segments[0].words
    assert words.segments[0].logprobs is None
    assert tokens.segments[0].words is None
    assert tokens.segments[0].logprobs
    assert tokens.segments[0].end == 2.0, "its times are those of the decoder"


def test_words_are_looked_for_in_the_sound_and_not_in_the_margin(engine: CTranslate2Engine, model: FakeWhisper) -> None:
    engine.transcribe([sound(2), sound(2.5)], WORDS)
    assert [(asked["shape"], asked["frames"]) for asked in model.aligned] == [((1, 400, 4), 250), ((1, 400, 4), 200)]


def test_words_come_from_the_context_that_was_decoded(engine: CTranslate2Engine, model: FakeWhisper) -> None:
    model.answer = lambda _, asked: result("fine") if asked["shape"][1] == 1500 else result("bad", logprob=-2)
    engine.transcribe([sound(2)], WORDS)
    assert model.aligned[0]["shape"] == (1, 1500, 4)


def test_the_words_of_a_rest_follow_those_before_it(engine: CTranslate2Engine, model: FakeWhisper) -> None:
    answers = iter([result("one", until=4.0), result("two")])
    model.answer = lambda *_: next(answers)
    (heard,) = engine.transcribe([sound(10)], WORDS)
    assert [asked["frames"] for asked in model.aligned] == [400, 600], "the first are about the first 4 s"
    assert [(word.text, round(word.start, 2), round(word.end, 2)) for one in heard.segments for word in one.words or []] == [
        ("one", 0.0, 0.6),
        ("two", 4.0, 4.6),
    ]


def test_words_of_several_segments(engine: CTranslate2Engine, model: FakeWhisper) -> None:
    several = result("one", until=1.0)
    several.sequences_ids[0] += [BEGIN + 50, *map(ord, "two"), BEGIN + 100, BEGIN + 100, ord(" "), BEGIN + 120]
    model.answer = lambda *_: several
    (heard,) = engine.transcribe([sound(2.4)], WORDS)
    assert [[word.text for word in one.words or []] for one in heard.segments] == [["one"], ["two"]]
    assert [[token.text for token in one.logprobs or []] for one in heard.segments] == [[*"one"], [*"two"]]
    assert len(model.aligned) == 1


def test_nothing_said_has_no_words(engine: CTranslate2Engine, model: FakeWhisper) -> None:
    model.answer = lambda *_: result("")
    (heard,) = engine.transcribe([sound(2)], WORDS)
    assert (heard.segments, model.aligned) == ([], [])


@pytest.mark.parametrize(
    ("task", "text", "expected"), [("transcribe", "はい。", ["は", "い。"]), ("translate", " he is", ["he", "is"])]
)
def test_a_language_without_spaces_has_a_word_for_each_character(
    engine: CTranslate2Engine, model: FakeWhisper, task: Literal["transcribe", "translate"], text: str, expected: list[str]
) -> None:
    tokens = [BEGIN, *text.encode()]
    model.answer = lambda *_: SimpleNamespace(sequences_ids=[tokens], scores=[-0.1], no_speech_prob=0.0)
    (heard,) = engine.transcribe([sound(2)], Options(language="ja", beam=1, task=task, words=True))
    assert [word.text for word in heard.segments[0].words or []] == expected, "the translation is English"


def test_close_drops_the_model(engine: CTranslate2Engine) -> None:
    engine.close()
    assert engine._loaded is None
    with pytest.raises(RuntimeError, match="no model is loaded"):
        engine.transcribe([sound(2)], ENGLISH)


class TestGpu:
    """CUDA fails under way; the model is a fake."""

    @pytest.fixture
    def on_a_gpu(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CTranslate2Engine:
        (tmp_path / "config.json").write_text('{"alignment_heads": [[3, 1], [5, 2]]}')
        scripted_gpu.put_in(tmp_path, monkeypatch.setattr)
        engine = CTranslate2Engine()
        engine.load(ModelConfig(tmp_path, "int8", 2, device="cuda"))
        return engine

    @pytest.fixture
    def model(self, on_a_gpu: CTranslate2Engine) -> GpuWhisper:
        whisper: GpuWhisper = on_a_gpu._whisper._model.model
        return whisper

    @pytest.mark.parametrize("step", ["encode", "generate", "align", "detect_language"])
    @pytest.mark.parametrize(
        ("said", "sentence"),
        [
            ("CUDA failed with error an illegal memory access was encountered", "The GPU failed: CUDA failed"),
            ("CUDA failed with error out of memory", "too little memory left"),
            ("cuBLAS failed with status CUBLAS_STATUS_EXECUTION_FAILED", "The GPU failed: cuBLAS failed"),
        ],
    )
    def test_what_fails_is_the_device(
        self,
        on_a_gpu: CTranslate2Engine,
        model: FakeWhisper,
        monkeypatch: pytest.MonkeyPatch,
        step: str,
        said: str,
        sentence: str,
    ) -> None:
        def fail(*_: Any, **__: Any) -> None:
            raise RuntimeError(said)

        monkeypatch.setattr(model, step, fail)
        with pytest.raises(DeviceTrouble, match=sentence):
            on_a_gpu.transcribe([sound(2)], Options(language=None, beam=1, words=True))

    def test_other_errors_are_not(self, on_a_gpu: CTranslate2Engine, model: FakeWhisper, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(model, "generate", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("the prompt is too long")))
        with pytest.raises(RuntimeError, match=r"^the prompt is too long$"):
            on_a_gpu.transcribe([sound(2)], ENGLISH)

    def test_nor_is_anything_on_a_cpu(self, engine: CTranslate2Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        failing = FakeWhisper()
        monkeypatch.setattr(failing, "generate", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("out of memory")))
        monkeypatch.setattr(engine._whisper._model, "model", failing)
        with pytest.raises(RuntimeError, match=r"^out of memory$"):
            engine.transcribe([sound(2)], ENGLISH)

    def test_a_batch_is_as_large_as_there_is_memory_for(self, on_a_gpu: CTranslate2Engine, tmp_path: Path) -> None:
        assert on_a_gpu.capabilities.batch == 16
        for free, batch in ((5_000_000_000, 4), (2_000_000_000, 1), (1, 1)):
            Gpu(free=free).write(tmp_path)
            on_a_gpu.load(ModelConfig(tmp_path, "int8", 2, device="cuda"))
            assert on_a_gpu.capabilities.batch == batch
        assert "little memory left beside the model" in (on_a_gpu.strain.sentence or "")
        on_a_gpu.load(ModelConfig(tmp_path, "int8", 2, device="cuda", batch=6))
        assert on_a_gpu.capabilities.batch == 6, "as it was set"

    def test_without_a_word_from_the_driver_it_is_as_on_a_cpu(
        self, on_a_gpu: CTranslate2Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cuda_memory, "look", lambda _: None)
        on_a_gpu.load(ModelConfig(tmp_path, "int8", 2, device="cuda"))
        assert on_a_gpu._headroom.seconds == BATCH_SECONDS
        assert on_a_gpu.strain == Strain()

    @pytest.mark.parametrize("leaves", [False, True])
    def test_a_batch_that_does_not_fit_is_halved(
        self, on_a_gpu: CTranslate2Engine, model: GpuWhisper, tmp_path: Path, leaves: bool
    ) -> None:
        Gpu(holds=22.0, leaves=leaves).write(tmp_path)
        results = on_a_gpu.transcribe([sound(2)] * 8, ENGLISH)
        assert len(results) == 8
        assert all(found.segments for found in results), "and nothing is lost"
        assert max(model.batches) == 2, "of the 8 s that each takes"
        assert sum(model.batches) == 8
        assert on_a_gpu.strain.times >= 2
        assert "The GPU ran out of memory" in (on_a_gpu.strain.sentence or "")
        before = on_a_gpu.strain.times
        on_a_gpu.transcribe([sound(2)] * 8, ENGLISH)
        assert on_a_gpu.strain.times == before, "it has learnt from it"

    def test_one_window_that_does_not_fit_is_told(self, on_a_gpu: CTranslate2Engine, tmp_path: Path) -> None:
        Gpu(holds=9.0).write(tmp_path)
        assert on_a_gpu.transcribe([sound(2)], ENGLISH)
        with pytest.raises(NoMemory, match="too little memory left"):
            on_a_gpu.transcribe([sound(20)], ENGLISH)
        assert on_a_gpu.transcribe([sound(2)], ENGLISH), "what is shorter still fits"

    def test_a_compute_type_that_the_card_lacks(self, on_a_gpu: CTranslate2Engine, tmp_path: Path) -> None:
        Gpu(types=("float32", "int8", "int8_float32")).write(tmp_path)
        with pytest.raises(Trouble, match=r"The GPU does not compute in int8_float16.* It does in float32, int8, int8_float32"):
            on_a_gpu.load(ModelConfig(tmp_path, "int8_float16", 2, device="cuda"))
        for wanted in ("auto", "default", "int8"):
            on_a_gpu.load(ModelConfig(tmp_path, wanted, 2, device="cuda"))

    def test_a_gpu_that_is_not_there(self, on_a_gpu: CTranslate2Engine, tmp_path: Path) -> None:
        for count, there in ((1, "the only GPU is number 0"), (2, "the GPUs are numbers 0 to 1")):
            Gpu(count=count).write(tmp_path)
            with pytest.raises(Trouble, match=rf"no GPU of number 3.*cuda\.device_index.*{there}"):
                on_a_gpu.load(ModelConfig(tmp_path, "int8", 2, device="cuda", device_index=3))

    def test_a_model_that_does_not_fit_is_told_with_what_it_takes(self, on_a_gpu: CTranslate2Engine, tmp_path: Path) -> None:
        Gpu(free=1_000_000_000, total=4_000_000_000, at_load=scripted_gpu.NO_MEMORY).write(tmp_path)
        with pytest.raises(NoMemory, match=r"takes about 3236 MB in int8_float16, and 1000 of its 4000 MB are free\.$"):
            on_a_gpu.load(ModelConfig(tmp_path, "int8", 2, device="cuda"))


def test_a_compute_type_that_the_processor_lacks(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match=r"This processor does not compute in float16 .* It does in float32, int.*or auto\.$"):
        CTranslate2Engine().load(ModelConfig(tmp_path, "float16", 2))

"""The parts that need no model; the contract tests transcribe with a real one."""

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import ctranslate2
import faster_whisper
import numpy as np
import pytest
from faster_whisper.feature_extractor import FeatureExtractor

from hailo_whisper.engines import cuda
from hailo_whisper.engines.ctranslate2 import CTranslate2Engine, lanes
from hailo_whisper.engines.engine import Capabilities, ModelConfig, Options
from hailo_whisper.engines.spelling import alphabet
from hailo_whisper.engines.trouble import DeviceTrouble
from hailo_whisper.engines.whisper import padded
from hailo_whisper.speech.transcript import Token, Word
from hailo_whisper.speech.waveform import RATE, Samples

BEGIN = 1000
ENGLISH = Options(language="en", beam=3)


def result(text: str = "yes", logprob: float = -0.2, no_speech: float = 0.0, until: float | None = None) -> Any:
    """What CTranslate2 gives: the letters are the tokens."""
    tokens = [BEGIN, *map(ord, text), *([BEGIN + round(until / 0.02)] if until is not None else [])]
    return SimpleNamespace(
        sequences_ids=[tokens], scores=[logprob * (len(tokens) + 1) / max(len(tokens), 1)], no_speech_prob=no_speech
    )


class FakeWhisper:
    """CTranslate2's model: remembers what it was asked, and answers what the test wants."""

    n_mels = 80

    def __init__(self) -> None:
        self.is_multilingual = True
        self.contexts: list[int] = []
        self.asked: list[dict[str, Any]] = []
        self.aligned: list[dict[str, Any]] = []
        self.answer: Callable[[int, dict[str, Any]], Any] = lambda _, asked: result()

    def encode(self, features: Any, *, to_cpu: bool) -> Any:
        assert to_cpu, "numpy sees no memory of a GPU"
        self.contexts.append(features.shape[2])
        # The first feature goes through, so that a decoding can be told from another.
        return np.full((1, features.shape[2] // 2, 4), np.asarray(features)[0, 0, 0], np.float32)

    def generate(self, encoded: Any, prompts: list[list[int]], **asked: Any) -> list[Any]:
        self.asked.append({"shape": tuple(encoded.shape), "prompts": prompts, **asked})
        return [self.answer(i, self.asked[-1]) for i in range(len(prompts))]

    def align(self, encoded: Any, start: list[int], texts: list[list[int]], frames: int) -> list[Any]:
        """Each token is heard for 0.2 s, as long as there is sound."""
        self.aligned.append({"shape": tuple(encoded.shape), "start": start, "frames": frames})
        assert len(texts) == 1, "CTranslate2 is right about one at a time"
        path = [(token, min(10 * token, frames // 2 - 1)) for token in range(len(texts[0]) + 1)]
        return [SimpleNamespace(alignments=path, text_token_probs=[0.5] * len(texts[0]))]

    def detect_language(self, encoded: Any) -> Any:
        return [[("<|de|>", 0.9), ("<|en|>", 0.1)]]


class FakeModel:
    """faster-whisper's model."""

    max_length = 448
    hf_tokenizer = SimpleNamespace(
        token_to_id={"<|en|>": 1, "<|de|>": 2}.get, id_to_token={byte: letter for letter, byte in alphabet().items()}.get
    )
    # As faster-whisper has it: also what this model has no token for.
    supported_languages = ("en", "de", "yue")

    def __init__(self, path: str, **how: Any) -> None:
        self.path, self.how = path, how
        self.model = FakeWhisper()
        self.feature_extractor = FeatureExtractor()


class FakeTokenizer:
    """The prompt of a language and a task is one letter of each."""

    timestamp_begin = BEGIN
    eot = 999
    sot_prev = 900

    def __init__(self, _: Any, multilingual: bool, task: str, language: str) -> None:
        self.sot_sequence = [ord(language[0]), *([ord("=")] if task == "translate" else [])]

    def encode(self, text: str) -> list[int]:
        return list(map(ord, text))


@pytest.fixture(autouse=True)
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faster_whisper, "WhisperModel", FakeModel)
    monkeypatch.setattr("faster_whisper.tokenizer.Tokenizer", FakeTokenizer)
    monkeypatch.setattr("faster_whisper.transcribe.get_suppressed_tokens", lambda *_: (7,))
    monkeypatch.setattr(ctranslate2.StorageView, "from_array", staticmethod(lambda array: array))


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
        "compute_type": "int8",
        "cpu_threads": 1,
        "num_workers": 3,
        "local_files_only": True,
    }


def test_a_gpu_is_asked_for_when_it_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []

    @contextlib.contextmanager
    def usable() -> Iterator[None]:
        loaded.append("libraries")
        yield
        loaded.append("model")

    monkeypatch.setattr(cuda, "usable", usable)
    engine = CTranslate2Engine()
    engine.load(ModelConfig(tmp_path, "int8_float16", 2, device="cuda"))
    assert loaded == ["libraries", "model"]
    assert engine._whisper._model.how["device"] == "cuda"


@pytest.mark.parametrize(
    ("device", "workers", "expected"), [("cpu", 0, 4), ("cpu", 6, 6), ("cuda", 0, 2), ("cuda", 1, 1), ("cuda", 5, 5)]
)
def test_a_gpu_has_lanes_of_its_own_number_and_they_may_be_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, workers: int, expected: int
) -> None:
    monkeypatch.setattr(cuda, "usable", contextlib.nullcontext)
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
    def on_a_gpu(self, engine: CTranslate2Engine) -> CTranslate2Engine:
        engine._config = replace(engine._config, device="cuda")
        return engine

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

    def test_nor_is_anything_on_a_cpu(
        self, engine: CTranslate2Engine, model: FakeWhisper, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(model, "generate", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("out of memory")))
        with pytest.raises(RuntimeError, match=r"^out of memory$"):
            engine.transcribe([sound(2)], ENGLISH)

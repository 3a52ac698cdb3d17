"""What the CTranslate2 engine does again: in full context, up the ladder of temperatures, and for a rest that was left unheard."""

from typing import Any

import pytest
from fake_whisper import BEGIN, FakeWhisper, result, sound

from hailo_whisper.engines.ctranslate2 import CTranslate2Engine
from hailo_whisper.engines.engine import Options

ENGLISH = Options(language="en", beam=3)
pytestmark = pytest.mark.usefixtures("fakes")


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

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hailo_whisper.engines.alignment import Heard, Stretch, logprobs, onset, times, words
from hailo_whisper.speech.transcript import Token, Word


def stretch(start: float, end: float, *heard: tuple[str, float, float]) -> Stretch:
    return Stretch(start, end, [Heard(text.encode(), at, until, 0.5) for text, at, until in heard])


def timed(stretches: list[Stretch], duration: float = 30.0, begin: float = 0.0) -> list[list[tuple[str, float, float]]]:
    found = words(stretches, duration, spaced=True, begin=begin)
    return [[(word.text, round(word.start, 3), round(word.end, 3)) for word in some] for some in found]


class TestTimes:
    def test_a_token_lasts_until_the_next_one_begins(self) -> None:
        path = [(0, 0), (0, 1), (1, 2), (1, 3), (2, 4), (3, 5), (3, 6)]
        assert times(path, 3, 0.5, 9.0) == [0.0, 1.0, 2.0, 2.5]

    def test_nothing_lies_after_the_end(self) -> None:
        assert times([(0, 0), (1, 4), (2, 9)], 2, 0.5, 3.0) == [0.0, 2.0, 3.0]

    def test_without_a_path_they_last_all_the_time(self) -> None:
        assert times([], 3, 0.02, 1.5) == [0.0, 0.0, 0.0, 1.5]

    def test_a_token_that_was_passed_over_lasts_no_time(self) -> None:
        assert times([(0, 0), (2, 5), (3, 6)], 3, 1.0, 9.0) == [0.0, 0.0, 5.0, 6.0]


class TestLogprobs:
    def test_they_are_natural_logarithms(self) -> None:
        found = logprobs([Heard(b" one", 0, 1, 0.5), Heard(b"\xc3", 0, 1, 1.0)])
        assert found == [Token(" one", math.log(0.5), [*b" one"]), Token("\ufffd", 0.0, [0xC3])]

    @pytest.mark.parametrize(("probability", "expected"), [(0.0, -87.3), (1.0000001, 0.0)])
    def test_they_are_finite_and_never_above_0(self, probability: float, expected: float) -> None:
        (found,) = logprobs([Heard(b"x", 0, 1, probability)])
        assert found.logprob == pytest.approx(expected, abs=0.1)

    def test_what_spells_nothing_is_left_out(self) -> None:
        assert logprobs([Heard(b"", 0, 1, 0.5)]) == []

    def test_white_space_at_the_end_is_left_out_as_it_is_of_the_text(self) -> None:
        found = logprobs([Heard(b" one", 0, 1, 1.0), Heard(b". ", 1, 2, 1.0), Heard(b" ", 2, 3, 1.0)])
        assert b"".join(bytes(token.bytes) for token in found) == b" one."


class TestOnset:
    def test_it_is_where_the_silence_ends(self) -> None:
        features = np.full((80, 300), -0.5, np.float32)
        features[:, 40:250] = 1.0
        assert onset(features, 100) == 0.4

    def test_sound_that_is_alike_all_along_begins_at_once(self) -> None:
        assert onset(np.zeros((80, 50), np.float32), 100) == 0.0

    def test_what_is_shorter_than_a_frame_begins_at_once(self) -> None:
        assert onset(np.zeros((80, 0), np.float32), 100) == 0.0


class TestWords:
    def test_a_word_lasts_from_its_first_to_its_last_sound(self) -> None:
        (some,) = words([stretch(0, 4, (" ill", 1, 1.5), ("-", 1.5, 1.6), ("posed", 1.6, 2), (".", 2, 4))], 4.0, spaced=True)
        assert some == [Word(1, 2, "ill-posed.", 0.5)]

    def test_each_segment_has_its_own(self) -> None:
        found = timed([stretch(0, 1, (" a", 0, 0.5), (" b", 0.5, 1)), stretch(1, 2), stretch(2, 3, (" c", 2, 2.5))])
        assert found == [[("a", 0, 0.5), ("b", 0.5, 1)], [], [("c", 2, 2.5)]]

    def test_the_first_word_begins_when_there_is_sound(self) -> None:
        said = [stretch(0, 2, (" a", 0, 1), (" b", 1, 1.5), (" c", 1.5, 2))]
        assert timed(said, begin=0.4)[0][0] == ("a", 0.4, 1)
        assert timed(said, begin=0.9)[0][0] == ("a", 0.5, 1), "and is as long as a typical one"

    def test_a_sentence_does_not_begin_in_the_pause_before_it(self) -> None:
        said = [stretch(0, 9, (" a", 0, 0.3), (" b", 0.3, 0.6), (".", 0.6, 0.7), (" c", 0.7, 4.0), (" d", 4.0, 4.3))]
        assert timed(said) == [[("a", 0, 0.3), ("b.", 0.3, 0.6), ("c", 3.4, 4.0), ("d", 4.0, 4.3)]]

    def test_nor_do_the_first_words_of_a_segment(self) -> None:
        said = [
            stretch(0, 1, (" a", 0, 0.3), (" b", 0.3, 0.6)),
            stretch(5, 6, (" c", 0.7, 2.0), (" d", 2.0, 5.5), (" e", 5.5, 5.8)),
        ]
        assert timed(said)[1] == [("c", 4.3, 4.9), ("d", 4.9, 5.5), ("e", 5.5, 5.8)]

    def test_a_lone_first_word_after_a_pause_is_no_longer_than_two_typical_ones(self) -> None:
        said = [stretch(0, 1, (" a", 0, 0.3), (" b", 0.3, 0.6)), stretch(2, 5, (" c", 0.6, 5.0))]
        assert timed(said)[1] == [("c", 4.4, 5.0)]

    def test_words_far_outside_of_their_segment_are_brought_back(self) -> None:
        said = [stretch(2, 3, (" a", 1.0, 2.2), (" b", 2.2, 2.6), (" c", 2.6, 4.0))]
        assert timed(said) == [[("a", 1.5, 2.2), ("b", 2.2, 2.6), ("c", 2.6, 3.3)]]

    def test_one_character_at_a_time_without_spaces(self) -> None:
        said = [stretch(0, 1, ("漢", 0, 0.5), ("字", 0.5, 0.8), ("。", 0.8, 1))]
        assert [word.text for word in words(said, 1.0, spaced=False)[0]] == ["漢", "字。"]

    @given(
        st.lists(
            st.tuples(
                st.floats(0, 30),
                st.floats(0, 30),
                st.lists(st.tuples(st.sampled_from([" a", "b", ".", " ", " C.", ""]), st.floats(0, 30)), max_size=8),
            ),
            max_size=4,
        ),
        st.floats(0.02, 30),
        st.floats(0, 30),
    )
    def test_words_are_in_order_and_within_the_window(
        self, segments: list[tuple[float, float, list[tuple[str, float]]]], duration: float, begin: float
    ) -> None:
        said = []
        for start, end, tokens in segments:
            edges = sorted(at for _, at in tokens)
            heard = [Heard(text.encode(), at, at + 0.1, 0.5) for (text, _), at in zip(tokens, edges, strict=True)]
            said.append(Stretch(min(start, end), max(start, end), heard))
        found = words(said, duration, spaced=True, begin=begin)
        assert len(found) == len(said)
        flat = [word for some in found for word in some]
        assert all(0 <= word.start <= word.end <= duration for word in flat)
        assert all(one.end <= other.start for one, other in itertools.pairwise(flat))

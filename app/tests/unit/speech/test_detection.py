import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from hailo_whisper.speech import detection
from hailo_whisper.speech.detection import FRAME, Detection
from hailo_whisper.speech.waveform import RATE, Samples, Waveform
from hailo_whisper.speech.windows import Rules, Span, cut

USUAL = Detection(threshold=0.5, min_speech=0.0, min_silence=0.16)
LONG = 3600.0
SECOND = RATE / FRAME


@pytest.fixture(scope="module")
def clip(clip_wav: bytes) -> Samples:
    return np.frombuffer(clip_wav[44:], "<i2").astype(np.float32) / np.float32(32768)


def frames(*runs: tuple[float, int]) -> NDArray[np.float32]:
    """Probabilities, each for so many frames."""
    return np.concatenate([np.full(count, value, np.float32) for value, count in runs])


def found(probabilities: NDArray[np.float32], wanted: Detection = USUAL, longest: float = LONG) -> list[tuple[int, int]]:
    """The spans, in frames."""
    speech = detection.spans(probabilities, len(probabilities) * FRAME, wanted, longest)
    return [(span.start // FRAME, span.end // FRAME) for span in speech]


class TestProbabilities:
    def test_they_are_those_of_faster_whisper(self, clip: Samples) -> None:
        from faster_whisper.vad import get_vad_model

        # Filled up to whole frames with more than it takes the context from, which its own code sets to zero in the last frame.
        padded = np.pad(np.tile(clip, 3), (0, 2 * FRAME - 3 * len(clip) % FRAME))
        theirs = get_vad_model()(padded.copy())
        ours = detection.probabilities(padded)
        assert len(ours) == len(theirs) > detection.BATCH
        assert np.abs(ours - theirs).max() < 1e-4
        assert ours.max() > 0.9
        assert ours.min() < 0.1

    @pytest.mark.parametrize("length", [0, 1, FRAME - 1, FRAME, FRAME + 1, detection.BATCH * FRAME, detection.BATCH * FRAME + 1])
    def test_there_is_one_for_each_frame_that_was_begun(self, length: int) -> None:
        assert detection.probabilities(np.zeros(length, np.float32)).shape == (-(-length // FRAME),)

    @given(st.lists(st.integers(0, 300_000), max_size=6))
    @pytest.mark.usefixtures("clip")
    def test_blocks_make_no_difference(self, clip: Samples, cuts: list[int]) -> None:
        sound = np.tile(clip, 4)
        blocks = np.split(sound, sorted(min(cut, len(sound)) for cut in cuts))
        assert np.abs(detection.stream(blocks) - detection.probabilities(sound)).max() < 1e-5

    def test_a_waveform_comes_in_blocks(self, clip: Samples, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("hailo_whisper.speech.waveform.BLOCK", 1 << 14)
        with Waveform.of(clip) as waveform:
            blocks = list(waveform.blocks())
            assert len(blocks) > 3
            assert np.array_equal(np.concatenate(blocks), clip)
            assert np.abs(detection.stream(blocks) - detection.probabilities(clip)).max() < 1e-5

    def test_the_package_that_brings_the_network_is_not_imported(self) -> None:
        program = "import sys; from hailo_whisper.speech import detection; detection.network(); print(*sys.modules)"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
        assert "onnxruntime" in done.stdout
        assert not {"faster_whisper", "ctranslate2", "tokenizers"} & set(done.stdout.split())


class TestSpans:
    def test_silence_has_none(self) -> None:
        assert found(frames((0.1, 100))) == []
        assert found(frames((0.1, 0))) == []

    def test_speech_from_the_first_frame_to_the_last(self) -> None:
        assert found(frames((0.9, 50))) == [(0, 50)]

    def test_a_pause_parts_speech(self) -> None:
        assert found(frames((0.1, 10), (0.9, 20), (0.1, 6), (0.9, 7), (0.1, 10))) == [(10, 30), (36, 43)]

    @pytest.mark.parametrize(("pause", "parts"), [(4, 1), (5, 2)])
    def test_a_pause_of_less_than_min_silence_parts_nothing(self, pause: int, parts: int) -> None:
        # 0.16 s are five frames.
        assert len(found(frames((0.9, 20), (0.1, pause), (0.9, 20)))) == parts

    def test_a_probability_a_little_below_the_threshold_ends_nothing_and_begins_nothing(self) -> None:
        assert found(frames((0.4, 20), (0.9, 20), (0.4, 20), (0.9, 5), (0.34, 20))) == [(20, 65)]

    def test_a_very_low_threshold_can_still_be_fallen_below(self) -> None:
        wanted = Detection(threshold=0.05, min_speech=0, min_silence=0.16)
        assert found(frames((0.06, 20), (0.005, 20)), wanted) == [(0, 20)]
        assert found(frames((0.06, 20), (0.02, 20)), wanted) == [(0, 40)]

    @pytest.mark.parametrize(("length", "kept"), [(7, False), (8, True)])
    def test_speech_that_is_too_short_is_noise(self, length: int, kept: bool) -> None:
        wanted = Detection(threshold=0.5, min_speech=0.25, min_silence=0.16)
        assert bool(found(frames((0.1, 30), (0.9, length), (0.1, 30)), wanted)) == kept

    def test_a_last_pause_that_is_too_short_to_part_belongs_to_the_speech(self) -> None:
        assert found(frames((0.9, 20), (0.1, 3))) == [(0, 23)]

    def test_the_last_span_ends_with_the_sound(self) -> None:
        assert detection.spans(frames((0.9, 10)), 9 * FRAME + 7, USUAL, LONG) == [Span(0, 9 * FRAME + 7)]

    def test_too_long_a_span_is_split_where_speech_is_least_probable_in_its_later_half(self) -> None:
        probabilities = frames((0.9, 100))
        probabilities[20], probabilities[45] = 0.5, 0.6
        # 2 s are 62.5 frames; the first half does not count, whatever is in it.
        first, second = detection.spans(probabilities, 100 * FRAME, USUAL, 2.0)
        assert first == Span(0, 45 * FRAME + FRAME // 2)
        assert second == Span(first.end, 100 * FRAME)

    def test_where_all_is_as_probable_the_parts_are_as_long_as_can_be(self) -> None:
        parts = detection.spans(frames((0.9, 1000)), 1000 * FRAME, USUAL, 10.0)
        assert len(parts) == 4

    def test_the_windows_that_are_cut_from_the_parts_end_where_the_parts_do(self) -> None:
        probabilities = frames((0.1, 50), (0.9, 1000), (0.1, 50))
        probabilities[800] = 0.5
        length = len(probabilities) * FRAME
        rules = Rules(longest=30.0, longest_pause=2.0, pad=0.4)
        speech = detection.spans(probabilities, length, USUAL, rules.longest - 2 * rules.pad)
        windows = cut(speech, length, rules)
        assert [window.end for window in windows[:-1]] == [800 * FRAME + FRAME // 2]

    @given(
        arrays.arrays(np.float32, st.integers(0, 400), elements=st.floats(0, 1, width=32)),
        st.floats(0.05, 0.95),
        st.floats(0, 1),
        st.floats(0.032, 1),
        st.floats(0.1, 5),
        st.integers(0, FRAME - 1),
    )
    def test_any_probabilities_give_spans_in_order(
        self, probabilities: NDArray[np.float32], threshold: float, speech: float, silence: float, longest: float, missing: int
    ) -> None:
        length = max(len(probabilities) * FRAME - missing, 0)
        wanted = Detection(threshold, speech, silence)
        parts = detection.spans(probabilities, length, wanted, longest)
        heard = np.zeros(len(probabilities) + 1, bool)
        end = 0
        for part in parts:
            assert end <= part.start < part.end <= length
            assert part.end - part.start <= longest * RATE
            end = part.end
            heard[part.start // FRAME : -(-part.end // FRAME)] = True
        if not speech:
            assert heard[: len(probabilities)][probabilities >= threshold].all(), "no frame of speech is left out"
        # Unsplit, neighbours are parted by no less than the shortest pause.
        whole = detection.spans(probabilities, length, wanted, LONG)
        gaps = [later.start - earlier.end for earlier, later in itertools.pairwise(whole)]
        assert all(gap >= silence * RATE - 1 for gap in gaps)
        assert sum(part.end - part.start for part in parts) == sum(span.end - span.start for span in whole)


@pytest.mark.parametrize("threshold", [0.0, 0.005, 0.01, 1.0])
@pytest.mark.parametrize("silence", [0.0, 0.16])
def test_any_threshold_comes_to_an_end(threshold: float, silence: float) -> None:
    quiet = np.tile(np.array([0.0, 0.001, 0.007, 0.02, 0.9], np.float32), 20)
    found = detection.spans(quiet, len(quiet) * 512, detection.Detection(threshold, 0.0, silence), 30.0)
    assert all(span.start < span.end for span in found)
    assert all(one.end <= other.start for one, other in itertools.pairwise(found))

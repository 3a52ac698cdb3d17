import numpy as np
import pytest

from hailo_whisper.engines.engine import Options
from hailo_whisper.engines.warm_up import WarmUpFailed, clip_text, warm_up
from hailo_whisper.speech.words import normalise


def test_it_is_the_clip_with_the_options_of_a_request() -> None:
    prepared = warm_up(beam=3)
    assert prepared.options == Options(language="en", beam=3)
    with prepared.waveform as waveform:
        assert waveform.duration == pytest.approx(5.3)
        assert 0.05 < np.abs(waveform.samples()).max() <= 1


def test_the_right_words_pass_however_they_are_written() -> None:
    check = warm_up(5).check
    check(clip_text())
    check(clip_text().upper().replace(",", " ..."))


def test_a_small_mistake_passes() -> None:
    words = normalise(clip_text())
    warm_up(5).check(" ".join(words[1:]))


@pytest.mark.parametrize("heard", ["", "Thank you.", "you you you you you you you you you you you you you"])
def test_something_else_does_not_and_the_sentence_says_what_to_do(heard: str) -> None:
    with pytest.raises(WarmUpFailed) as caught:
        warm_up(5).check(f" {heard}")
    assert str(caught.value) == (
        f"The warm-up heard {heard!r} instead of {clip_text()!r}: the model or the device is not sound. "
        "Run `hailo-whisper models verify`."
    )

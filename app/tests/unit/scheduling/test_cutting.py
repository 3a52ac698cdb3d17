from hailo_whisper.scheduling import cutting
from hailo_whisper.settings import Vad, Windows
from hailo_whisper.speech.detection import Detection
from hailo_whisper.speech.windows import Rules


def test_milliseconds_become_seconds() -> None:
    vad = Vad(threshold=0.4, min_speech_ms=100, min_silence_ms=300, speech_pad_ms=200)
    assert cutting.detection(vad) == Detection(0.4, 0.1, 0.3)
    assert cutting.padding(vad) == 0.2


def test_without_detection_all_is_speech_and_nothing_is_padded() -> None:
    assert cutting.detection(Vad(enabled=False)) is None
    assert cutting.padding(Vad(enabled=False)) == 0.0


def test_the_shorter_of_setting_and_engine_counts() -> None:
    windows = Windows(longest_seconds=20.0, longest_pause_seconds=1.5)
    assert cutting.rules(windows, 30.0, 0.4) == Rules(20.0, 1.5, 0.4)
    assert cutting.rules(windows, 10.0, 0.4) == Rules(10.0, 1.5, 0.4)


def test_padding_leaves_half_of_the_window_to_speech() -> None:
    rules = cutting.rules(Windows(longest_seconds=2.0), 30.0, 5.0)
    assert rules.pad == 0.5
    assert cutting.longest_span(rules) == 1.0

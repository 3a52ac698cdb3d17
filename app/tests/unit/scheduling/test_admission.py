import pytest

from hailo_whisper.scheduling.admission import LONGEST_RETRY, Admission, Overloaded, check, retry_after
from hailo_whisper.scheduling.speed import FIRST_GUESS, Speed


def test_a_place_is_free_again_when_its_request_is_over_however_it_ends() -> None:
    admission = Admission()
    with admission.place(1, 0, 0.1):
        assert admission.requests == 1
    with pytest.raises(ZeroDivisionError), admission.place(1, 0, 0.1):
        raise ZeroDivisionError
    assert admission.requests == 0


def test_one_too_many_is_told_when_one_of_them_is_done() -> None:
    admission = Admission()
    with admission.place(2, 0, 0.1), admission.place(2, 0, 0.1):
        with pytest.raises(Overloaded) as refused, admission.place(2, 101, 0.1):
            pass
        assert admission.requests == 2
    assert refused.value.retry_after == 6
    assert refused.value.reason == "requests"
    assert "2 requests, the most that it takes at a time (limits.requests)" in str(refused.value)


@pytest.mark.parametrize(("queued", "seconds"), [(0, 1000), (60, 40), (0.1, 99.9)])
def test_there_is_room(queued: float, seconds: float) -> None:
    check(seconds, 100, queued, 0.1)


@pytest.mark.parametrize(("queued", "seconds", "wait"), [(60, 41, 1), (100, 30, 15), (10, 1000, 5)])
def test_too_much_sound_is_told_when_there_is_room(queued: float, seconds: float, wait: int) -> None:
    with pytest.raises(Overloaded) as refused:
        check(seconds, 100, queued, 0.5)
    assert refused.value.retry_after == wait
    assert refused.value.reason == "queued_seconds"
    assert "limits.queued_seconds" in str(refused.value)


@pytest.mark.parametrize(("sound", "speed", "wait"), [(0, 0.1, 1), (0.1, 0.1, 1), (21, 0.1, 3), (1e9, 1, LONGEST_RETRY)])
def test_retry_after_is_a_whole_number_of_seconds(sound: float, speed: float, wait: int) -> None:
    assert retry_after(sound, speed) == wait


def test_the_speed_is_a_guess_then_a_measure_then_a_running_mean() -> None:
    speed = Speed()
    assert speed.factor == FIRST_GUESS
    speed.measured(10, 5)
    assert speed.factor == 0.5
    speed.measured(10, 10)
    assert speed.factor == pytest.approx(0.6)
    speed.measured(0, 1)
    assert speed.factor == pytest.approx(0.6)
    for _ in range(50):
        speed.measured(10, 1)
    assert speed.factor == pytest.approx(0.1, abs=0.001)

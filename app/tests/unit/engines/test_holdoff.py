from hailo_whisper.engines.holdoff import AGAIN, CALM, FIRST, LONGEST, Holdoff


def test_one_that_comes_and_goes_is_left_alone_for_longer_each_time() -> None:
    holdoff, now, pauses = Holdoff(), 1000.0, []
    for _ in range(8):
        holdoff.serves(now)
        now += CALM - 1
        pauses.append(holdoff.lost(now))
    assert pauses == [FIRST, AGAIN, 2 * AGAIN, 4 * AGAIN, 8 * AGAIN, 16 * AGAIN, LONGEST, LONGEST]


def test_after_long_service_all_is_forgotten() -> None:
    holdoff = Holdoff()
    for _ in range(3):
        holdoff.serves(0)
        holdoff.lost(1)
    holdoff.serves(10)
    assert holdoff.lost(10 + CALM) == FIRST


def test_one_that_is_lost_before_it_served_counts() -> None:
    holdoff = Holdoff()
    assert [holdoff.lost(0), holdoff.lost(CALM)] == [FIRST, AGAIN]

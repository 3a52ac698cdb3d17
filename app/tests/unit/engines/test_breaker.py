from hailo_whisper.engines.breaker import FIRST_PAUSE, LONGEST_PAUSE, OPEN_SECONDS, Breaker


def test_the_pause_doubles_and_the_third_failure_in_a_row_opens_the_breaker() -> None:
    breaker = Breaker()
    assert Breaker().next is None
    seen = [(breaker.failed(100), breaker.open) for _ in range(3)]
    assert seen == [(FIRST_PAUSE, False), (2 * FIRST_PAUSE, False), (OPEN_SECONDS, True)]
    assert (breaker.failures, breaker.next) == (3, 100 + OPEN_SECONDS)
    assert breaker.failed(500) == OPEN_SECONDS, "one attempt is let through now and then, and fails"


def test_a_start_that_succeeds_closes_it() -> None:
    breaker = Breaker()
    for _ in range(4):
        breaker.failed(0)
    breaker.started()
    assert (breaker.open, breaker.failures, breaker.next) == (False, 0, None)
    assert breaker.failed(0) == FIRST_PAUSE


def test_a_change_closes_it() -> None:
    breaker = Breaker()
    for _ in range(3):
        breaker.failed(0)
        breaker.lost(0)
    breaker.reset()
    assert (breaker.open, breaker.failures, breaker.losses, breaker.next) == (False, 0, 0, None)


def test_workers_that_start_well_and_die_at_once_are_replaced_more_and_more_slowly() -> None:
    breaker = Breaker()
    pauses = [breaker.lost(100) for _ in range(9)]
    assert pauses[:2] == [0, 0], "a recording that kills workers kills two of them"
    assert pauses[2:5] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert pauses[-1] == LONGEST_PAUSE
    breaker.started()
    assert breaker.lost(100) == LONGEST_PAUSE, "starting well is not what was missing"
    breaker.worked()
    assert breaker.lost(100) == 0
    assert breaker.next is None


def test_a_pause_is_as_long_as_the_caller_likes_at_most() -> None:
    breaker = Breaker()
    assert [breaker.failed(0, 3.0) for _ in range(4)] == [FIRST_PAUSE, 3.0, 3.0, 3.0]

import time
from email.utils import formatdate

import pytest

from hailo_whisper import retry_after


@pytest.mark.parametrize(("value", "seconds"), [("7", 7.0), ("0.5", 0.5), ("-3", 0.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)])
def test_seconds_or_a_date(value: str, seconds: float) -> None:
    assert retry_after.seconds(value) == seconds


def test_a_date_to_come() -> None:
    assert retry_after.seconds(formatdate(time.time() + 60, usegmt=True)) == pytest.approx(60, abs=2)


@pytest.mark.parametrize("value", ["", "soon", "nan", "inf"])
def test_what_makes_no_sense(value: str) -> None:
    assert retry_after.seconds(value) is None

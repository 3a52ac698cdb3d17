"""What HailoRT makes of the decoder's tokens, with its two defects: times are in hundreds from 1000 on, words are smaller numbers."""

from collections.abc import Sequence

import pytest
from emulated import Device

T = 1000


def _spell(tokens: Sequence[int]) -> str:
    return " ".join(map(str, tokens))


@pytest.mark.parametrize(
    ("tokens", "ideal", "expected", "heard"),
    [
        pytest.param([T, 1, 2, 3, T + 100], False, [(5.0, 7.0, "1 2 3")], 8.0, id="one segment that is closed"),
        pytest.param([T, 1, 2, 3], False, [(5.0, 13.0, "1 2 3")], 8.0, id="cut off: the rest counts as heard"),
        pytest.param(
            [T, 1, 2, T + 50, T + 60, 3, 4, T + 100], False, [(5.0, 6.2, "1 2"), (6.2, 7.0, "3")], 8.0, id="the last word is lost"
        ),
        pytest.param([T, 1, 2, T + 50, T + 60, 3, 4, T + 100], True, [(5.0, 6.2, "1 2"), (6.2, 7.0, "3 4")], 8.0, id="ideal"),
        pytest.param([T, 1, 2, T + 50, T + 60, 3, 4], False, [(5.0, 6.2, "1 2")], 1.2, id="goes on from the last pair"),
        pytest.param([T], False, [(5.0, 13.0, "")], 8.0, id="nothing"),
    ],
)
def test_segments(device: Device, tokens: list[int], ideal: bool, expected: list[tuple[float, float, str]], heard: float) -> None:
    from hailo_platform.emulation.segments import segments

    found, got = segments(tokens, T, 5.0, 8.0, _spell, ideal=ideal)
    assert [(round(s.start, 2), round(s.end, 2), s.text) for s in found] == expected
    assert got == pytest.approx(heard)

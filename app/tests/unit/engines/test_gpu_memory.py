"""What Whisper needs of a GPU, by calculation; nobody has measured it."""

import re
from pathlib import Path

import pytest
from scripted_gpu import LARGE

from hailo_whisper.engines import gpu_memory
from hailo_whisper.models import catalog
from hailo_whisper.models.weights import Shape

GB = 1_000_000_000


def test_large_v3_fits_into_6_gb_with_two_lanes_and_the_express() -> None:
    free = 6 * GB - gpu_memory.PROCESS - gpu_memory.of_weights(LARGE, "int8_float16")
    assert gpu_memory.seconds(free, LARGE, "int8_float16", lanes=3) > 20, "a window of windows.longest_seconds in each of them"
    assert gpu_memory.least(LARGE, "int8_float16") < 4 * GB


def test_the_docs_have_what_it_takes_in_each_format() -> None:
    text = (Path(__file__).parents[4] / "docs/nvidia.md").read_text()
    of_cards = re.findall(r"^\| [\d.]+ .*\| `(\w+)` \| ([\d.]+) GB \|", text, re.MULTILINE)
    assert {compute_type for compute_type, _ in of_cards} == {"int8_float16", "int8_float32", "float32"}, "all that auto may be"
    named, told = (re.search(rf"^\| {row} \|(.*) \|$", text, re.MULTILINE) for row in ("model", "`large-v3`"))
    assert named
    assert told
    table = zip(re.findall(r"`(\w+)`", named[1]), re.findall(r"([\d.]+) GB", told[1]), strict=True)
    for compute_type, gigabytes in [*of_cards, *table]:
        assert gigabytes == f"{gpu_memory.least(LARGE, compute_type) / GB:.1f}", compute_type


def test_the_catalog_has_the_same_large_v3() -> None:
    # Its file has two bytes for each number.
    (size,) = [file.size for name, file in catalog.load().get("large-v3").files.items() if name == "model.bin"]
    assert size is not None
    assert size == pytest.approx(2 * LARGE.parameters, rel=0.01)


@pytest.mark.parametrize(
    ("compute_type", "megabytes"),
    [("int8_float16", 1543), ("float16", 3086), ("bfloat16", 3086), ("int8_float32", 1543), ("float32", 6172)],
)
def test_weights_by_their_format(compute_type: str, megabytes: int) -> None:
    assert gpu_memory.of_weights(LARGE, compute_type) == megabytes * 1_000_000


def test_less_memory_is_less_sound_down_to_none() -> None:
    found = [gpu_memory.seconds(free * GB, LARGE, "int8_float16", 3) for free in (20, 10, 5, 1)]
    assert found == sorted(found, reverse=True)
    assert found[-1] < 10
    assert gpu_memory.seconds(0, LARGE, "int8_float16", 3) < 0


def test_a_small_model_needs_little() -> None:
    assert gpu_memory.least(Shape(37_764_873, 384, 4), "int8_float16") < 0.7 * GB

"""What Whisper needs of a GPU's memory, by calculation: nobody has measured it for this program yet, so all of it is counted generously.

What does not fit all the same is noticed when it happens (`headroom`).
"""

from ..models.weights import Shape

HALVES = ("float16", "bfloat16", "int8_float16", "int8_bfloat16")
"""Number formats in which what is computed takes two bytes; in the others it takes four."""
WEIGHTS = {"int8": 1, "int8_float32": 1, "int16": 2, **dict.fromkeys(HALVES, 2), "int8_float16": 1, "int8_bfloat16": 1}
"""Bytes of a weight; in a format that is not here it takes four."""
PROCESS = 500_000_000
"""Bytes of CUDA's context and of cuBLAS, before there is a model."""
TICKS_PER_SECOND = 50
"""Vectors of the encoder's output."""
HEADS_OF = 64
"""Numbers of a vector that one head of the attention looks at, in every Whisper."""
TOKENS_PER_SECOND = 15
"""Of fast speech; a loop has more, until it is noticed."""
BEAMS = 5
COPIES = 2
"""The search puts its beams in another order by copying what they remember."""
SPARE = 0.9
"""Part of what is free that is reckoned with."""
LONGEST = 30
"""Seconds that the encoder takes at once."""


def of_weights(shape: Shape, compute_type: str) -> int:
    """Bytes of a model itself, once it is loaded in that number format."""
    return shape.parameters * WEIGHTS.get(compute_type, 4)


def of_a_second(shape: Shape, compute_type: str) -> float:
    """Bytes for each second that is decoded together with others: what the decoder remembers of the sound, and of what it has said."""
    vector = 2 * shape.decoder_layers * shape.width * _bytes(compute_type)
    return vector * (TICKS_PER_SECOND + TOKENS_PER_SECOND * BEAMS * COPIES)


def of_a_lane(shape: Shape, compute_type: str) -> int:
    """Bytes that the encoder takes in passing, one window at a time: the attention of each tick to each, and the layer in between."""
    ticks = LONGEST * TICKS_PER_SECOND
    return ticks * (ticks * (shape.width // HEADS_OF) * 2 + 2 * 4 * shape.width) * _bytes(compute_type)


def seconds(free: int, shape: Shape, compute_type: str, lanes: int) -> float:
    """Seconds that each of so many lanes may decode together, where so many bytes are free beside the model; 0 or less when not even the encoder fits."""
    return (free * SPARE / lanes - of_a_lane(shape, compute_type)) / of_a_second(shape, compute_type)


def least(shape: Shape, compute_type: str) -> int:
    """Bytes without which one window of 30 s at a time does not fit, CUDA's own counted in."""
    one = of_a_lane(shape, compute_type) + LONGEST * of_a_second(shape, compute_type)
    return round(PROCESS + of_weights(shape, compute_type) + one)


def _bytes(compute_type: str) -> int:
    return 2 if compute_type in HALVES else 4

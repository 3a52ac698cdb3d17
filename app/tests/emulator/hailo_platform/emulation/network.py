"""What a HEF of the encoder or of the decoder holds: names, shapes, and what it computes."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from hailo_platform.emulation.decoder import Decoder
from hailo_platform.emulation.weights import Array

MELS = 80
# The logits come in so many parts, of which the names have "conv" in them, as those of the published networks.
PARTS = 4
FIRST_PART = 49


@dataclass(frozen=True)
class Edge:
    """An input or output. `shape` is (height, width, features)."""

    name: str
    shape: tuple[int, int, int]


class Network(Protocol):
    name: str
    inputs: list[Edge]
    outputs: list[Edge]
    """In the order of the network; HailoRT has them in another."""

    def run(self, inputs: dict[str, Array]) -> dict[str, Array]: ...


class EncoderNetwork:
    """The encoder over so many seconds: CTranslate2 runs it, or nothing does, where it is only told what is heard."""

    def __init__(self, content: dict[str, Any]) -> None:
        frames = round(content["seconds"] * 100)
        self.name = content["name"]
        self._model: Any = None
        if "weights" in content:
            import ctranslate2

            self._model = ctranslate2.models.Whisper(content["weights"], device="cpu", compute_type="int8", intra_threads=2)
        self.inputs = [Edge(f"{self.name}/input_layer1", (1, frames, MELS))]
        self.outputs = [Edge(f"{self.name}/ne_activation_conv13", (1, frames // 2, content["width"]))]

    def run(self, inputs: dict[str, Array]) -> dict[str, Array]:
        mel = inputs[self.inputs[0].name]
        if self._model is None:
            # So much of it that whoever mixes up two windows is found out.
            return {self.outputs[0].name: np.full(self.outputs[0].shape, mel.mean(), np.float32)}
        import ctranslate2

        # NHWC to (batch, mels, frames).
        view = ctranslate2.StorageView.from_array(np.ascontiguousarray(mel.reshape(1, -1, MELS).transpose(0, 2, 1)))
        return {self.outputs[0].name: np.array(self._model.encode(view)).reshape(self.outputs[0].shape)}


class DecoderNetwork:
    """The decoder with so many places."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.name = content["name"]
        self._decoder: Decoder | Told = (
            Decoder(content["weights"], content["sequence"]) if "weights" in content else Told(**content["told"])
        )
        frames, width = round(content["seconds"] * 50), self._decoder.embedding.shape[1]
        self.inputs = [
            Edge(f"{self.name}/input_layer1", (1, frames, width)),
            Edge(f"{self.name}/input_layer2", (1, self._decoder.sequence, width)),
        ]
        sizes = [len(part) for part in np.array_split(np.arange(len(self._decoder.embedding)), PARTS)]
        self.outputs = [
            Edge(f"{self.name}/conv{FIRST_PART + i}", (1, self._decoder.sequence, size)) for i, size in enumerate(sizes)
        ]

    def run(self, inputs: dict[str, Array]) -> dict[str, Array]:
        encoded, rows = (inputs[edge.name].reshape(edge.shape)[0] for edge in self.inputs)
        parts = np.array_split(self._decoder.run(encoded, rows), PARTS, axis=1)
        return {edge.name: part[None] for edge, part in zip(self.outputs, parts, strict=True)}


WIDTH = 4


def vectors(vocabulary: int) -> Array:
    """Tokens' vectors that tell the token: its digits to the base of 64."""
    numbers = np.arange(vocabulary)
    return np.stack([numbers // 64**digit % 64 for digit in range(WIDTH)], axis=1).astype(np.float32)


class Told:
    """A decoder that says `text` after a prompt that ends in one of `starts`, whatever was said, and then the end.

    `also` are logits of further tokens at the first place: of a language, of no speech.
    """

    def __init__(
        self, vocabulary: int, sequence: int, text: list[int], starts: list[int], end: int, also: dict[str, float]
    ) -> None:
        self.embedding = vectors(vocabulary)
        self.sequence = sequence
        self._text, self._starts, self._end = text, starts, end
        self._also = {int(token): logit for token, logit in also.items()}

    def run(self, encoded: Array, rows: Array) -> Array:
        """Logits for all places, of shape (sequence, vocabulary)."""
        tokens = [int(number) for number in rows @ np.array([64**digit for digit in range(WIDTH)])]
        found = np.zeros((self.sequence, len(self.embedding)), np.float32)
        for token, logit in self._also.items():
            found[0, token] = logit
        start = next((at for at in range(len(tokens) - 1, -1, -1) if tokens[at] in self._starts), 0)
        for at in range(start, len(tokens)):
            said = at - start
            found[at, self._text[said] if said < len(self._text) else self._end] = 20.0
        return found


def network(content: dict[str, Any]) -> Network:
    """The network of a HEF."""
    kinds: dict[str, type[EncoderNetwork | DecoderNetwork]] = {"encoder": EncoderNetwork, "decoder": DecoderNetwork}
    return kinds[content["network"]](content)

"""Whisper's decoder in numpy, over a fixed number of places, as the network on the device has it: vectors in, logits out, nothing kept.

It remembers what it computed for the places that have not changed since, which only saves time.
"""

import numpy as np

from hailo_platform.emulation import weights
from hailo_platform.emulation.weights import Array

EPSILON = 1e-5


class Decoder:
    def __init__(self, folder: str, sequence: int) -> None:
        self._weights = weights.read(folder, "decoder/")
        self.embedding = self._weights["embeddings/weight"]
        self.sequence = sequence
        self._layers = len({name.split("/")[0] for name in self._weights if name.startswith("layer_") and name[6].isdigit()})
        self._heads = int(self._weights["num_heads"])
        self._encoded: Array | None = None
        self._memory: list[tuple[Array, Array]] = []
        self._rows = np.zeros((0, self.embedding.shape[1]), np.float32)
        self._past: list[tuple[Array, Array]] = []
        self._logits = np.zeros((0, len(self.embedding)), np.float32)

    def run(self, encoded: Array, rows: Array) -> Array:
        """Logits for all places, of shape (sequence, vocabulary).

        Those behind the first of equal vectors at the end are NaN: nothing stands there, and nobody may look.
        """
        if self._encoded is None or not np.array_equal(encoded, self._encoded):
            self._encoded = encoded.copy()
            self._memory = [self._keys(encoded, f"layer_{i}/attention/linear_1") for i in range(self._layers)]
            self._forget(0)
        last = len(rows)
        while last > 1 and np.array_equal(rows[last - 1], rows[last - 2]):
            last -= 1
        same = 0
        while same < min(last, len(self._rows)) and np.array_equal(rows[same], self._rows[same]):
            same += 1
        self._forget(same)
        if same < last:
            self._go_on(rows[same:last], same)
        found = np.full((self.sequence, len(self.embedding)), np.nan, np.float32)
        found[:last] = self._logits
        return found

    def _forget(self, first: int) -> None:
        self._rows, self._logits = self._rows[:first], self._logits[:first]
        self._past = [(keys[:, :first], values[:, :first]) for keys, values in self._past]

    def _go_on(self, new: Array, at: int) -> None:
        w = self._weights
        x = new + w["position_encodings/encodings"][at : at + len(new)]
        past = self._past or [(np.zeros((self._heads, 0, x.shape[1] // self._heads), np.float32),) * 2] * self._layers
        self._past = []
        later = np.triu(np.full((len(new), len(new)), -np.inf, np.float32), 1)
        mask = np.concatenate([np.zeros((len(new), at), np.float32), later], axis=1)
        for i in range(self._layers):
            layer = f"layer_{i}"
            y = self._norm(x, f"{layer}/self_attention/layer_norm")
            query, key, value = np.split(self._linear(y, f"{layer}/self_attention/linear_0"), 3, axis=1)
            keys = np.concatenate([past[i][0], self._split(key)], axis=1)
            values = np.concatenate([past[i][1], self._split(value)], axis=1)
            self._past.append((keys, values))
            x = x + self._linear(self._attend(query, keys, values, mask), f"{layer}/self_attention/linear_1")
            y = self._norm(x, f"{layer}/attention/layer_norm")
            query = self._linear(y, f"{layer}/attention/linear_0")
            x = x + self._linear(self._attend(query, *self._memory[i], None), f"{layer}/attention/linear_2")
            y = self._norm(x, f"{layer}/ffn/layer_norm")
            x = x + self._linear(_gelu(self._linear(y, f"{layer}/ffn/linear_0")), f"{layer}/ffn/linear_1")
        logits = self._norm(x, "layer_norm") @ self.embedding.T
        self._rows = np.concatenate([self._rows, new])
        self._logits = np.concatenate([self._logits, logits])

    def _keys(self, encoded: Array, name: str) -> tuple[Array, Array]:
        key, value = np.split(self._linear(encoded, name), 2, axis=1)
        return self._split(key), self._split(value)

    def _split(self, x: Array) -> Array:
        return x.reshape(len(x), self._heads, -1).transpose(1, 0, 2)

    def _attend(self, query: Array, keys: Array, values: Array, mask: Array | None) -> Array:
        scores = self._split(query) @ keys.transpose(0, 2, 1) / np.float32(np.sqrt(keys.shape[-1]))
        if mask is not None:
            scores = scores + mask
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        found: Array = (scores / scores.sum(-1, keepdims=True)) @ values
        return found.transpose(1, 0, 2).reshape(len(query), -1)

    def _linear(self, x: Array, name: str) -> Array:
        found: Array = x @ self._weights[f"{name}/weight"].T + self._weights[f"{name}/bias"]
        return found

    def _norm(self, x: Array, name: str) -> Array:
        middle = x - x.mean(-1, keepdims=True)
        scaled = middle / np.sqrt((middle**2).mean(-1, keepdims=True) + EPSILON)
        found: Array = scaled * self._weights[f"{name}/gamma"] + self._weights[f"{name}/beta"]
        return found


def _gelu(x: Array) -> Array:
    """With the error function as Abramowitz and Stegun approximate it (7.1.26): good to 1.5e-7."""
    z = np.abs(x) / np.float32(np.sqrt(2))
    t = 1 / (1 + 0.3275911 * z)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    erf = np.sign(x) * (1 - series * np.exp(-z * z))
    return (x * (1 + erf) / 2).astype(np.float32)

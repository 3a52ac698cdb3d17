"""From a checkpoint of OpenAI to a model of CTranslate2, without PyTorch and without a network.

For the models of which both are published, the files come out byte for byte as Systran published them: the same weights as float16, in the
same order, by the same rules. So the catalog's sums prove a conversion.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from ..failure import Failure
from . import official
from .checkpoint import Checkpoint

# What the sizes in a checkpoint may be; beyond these it is no Whisper that we know.
LARGEST = {"n_mels": 128, "n_audio_ctx": 1500, "n_text_ctx": 448, "n_audio_state": 2048, "n_text_state": 2048}
LARGEST |= {"n_audio_head": 32, "n_text_head": 32, "n_audio_layer": 64, "n_text_layer": 64, "n_vocab": official.MULTILINGUAL_V3}
# CTranslate2 has learnt these since Systran published; their values are those that it takes when they are absent.
LATER = ("alibi_use_positive_positions", "scale_alibi")
FEATURES = {
    "chunk_length": 30,
    "feature_extractor_type": "WhisperFeatureExtractor",
    "hop_length": 160,
    "n_fft": 400,
    "n_samples": 480000,
    "nb_max_frames": 3000,
    "padding_side": "right",
    "padding_value": 0.0,
    "processor_class": "WhisperProcessor",
    "return_attention_mask": False,
    "sampling_rate": 16000,
}


class ConversionFailed(Failure):
    """A checkpoint is not what a Whisper must be. The message says what is wrong."""


def convert(checkpoint: Checkpoint, heads: list[tuple[int, int]], into: Path) -> list[str]:
    """Write the model into the folder: model.bin, config.json, tokenizer.json and the vocabulary. Returns the names of the files.

    `heads` are the pairs of a layer and a head of attention that tell when a word was said. Raises ConversionFailed, and OSError.
    """
    sizes = _checked(checkpoint)
    vocabulary = sizes["n_vocab"]
    try:
        tokenizer = official.tokenizer(vocabulary)
    except KeyError:
        raise ConversionFailed(f"It has {vocabulary} tokens, and no Whisper that is known here has so many.") from None
    tokens = official.tokens(tokenizer, vocabulary)
    _write_weights(_Weights(checkpoint, sizes), tokens, into / "model.bin")
    settings = official.suppressed(vocabulary) | {"alignment_heads": heads}
    files = {"config.json": json.dumps(settings, indent=2, sort_keys=True) + "\n", "tokenizer.json": tokenizer}
    if vocabulary == official.MULTILINGUAL_V3:
        # With large-v3 the published form changed. Its features are finer, too, and a file says so.
        files["vocabulary.json"] = json.dumps(tokens, indent=2)
        files["preprocessor_config.json"] = (
            json.dumps(FEATURES | {"feature_size": sizes["n_mels"]}, indent=2, sort_keys=True) + "\n"
        )
    else:
        files["vocabulary.txt"] = "".join(f"{token}\n" for token in tokens)
    for name, content in files.items():
        (into / name).write_text(content, encoding="utf-8")
    return ["model.bin", *files]


def _checked(checkpoint: Checkpoint) -> dict[str, int]:
    sizes = dict(checkpoint.sizes)
    if sizes.keys() != LARGEST.keys() or any(not 0 < sizes[name] <= largest for name, largest in LARGEST.items()):
        raise ConversionFailed("It does not have the sizes of a Whisper model.")
    if sizes["n_audio_state"] % sizes["n_audio_head"] or sizes["n_text_state"] % sizes["n_text_head"]:
        raise ConversionFailed("Its sizes do not fit its heads of attention.")
    return sizes


class _Weights:
    """The tensors of a checkpoint, each checked for its shape when it is asked for."""

    def __init__(self, checkpoint: Checkpoint, sizes: dict[str, int]) -> None:
        self._tensors, self.sizes = checkpoint.tensors, sizes

    def get(self, name: str, *shape: int) -> "np.ndarray[Any, Any]":
        """The tensor as float16. Raises ConversionFailed when it is missing or of another shape."""
        found = self._tensors.get(name)
        if found is None:
            raise ConversionFailed(f"It lacks {name}.")
        if found.shape != shape:
            raise ConversionFailed(f"{name} has the shape {found.shape} and must have {shape}.")
        return np.ascontiguousarray(found, dtype=np.float16)

    def norm(self, spec: Any, name: str, width: int) -> None:
        """Give the spec the scale and shift of a layer's norm."""
        spec.gamma, spec.beta = self.get(f"{name}.weight", width), self.get(f"{name}.bias", width)

    def linear(self, spec: Any, name: str, outputs: int, inputs: int) -> None:
        """Give the spec a matrix and its bias."""
        spec.weight, spec.bias = self.get(f"{name}.weight", outputs, inputs), self.get(f"{name}.bias", outputs)

    def joined(self, spec: Any, names: list[str], width: int) -> None:
        """Give the spec several square matrices as one. The keys of an attention have no bias: it becomes zeros."""
        spec.weight = np.concatenate([self.get(f"{name}.weight", width, width) for name in names])
        biases = [np.zeros(width, np.float16) if name.endswith(".key") else self.get(f"{name}.bias", width) for name in names]
        spec.bias = np.concatenate(biases)


def _write_weights(weights: _Weights, tokens: list[str], path: Path) -> None:
    from ctranslate2.specs import model_spec, whisper_spec

    sizes = weights.sizes
    spec = whisper_spec.WhisperSpec(sizes["n_audio_layer"], sizes["n_audio_head"], sizes["n_text_layer"], sizes["n_text_head"])
    _fill_encoder(spec.encoder, weights)
    _fill_decoder(spec.decoder, weights)
    spec.register_vocabulary(tokens)
    spec.validate()
    spec.optimize("float16")
    for name in LATER:
        if hasattr(spec.decoder, name):
            setattr(spec.decoder, name, model_spec.OPTIONAL)
    spec._serialize(str(path))


def _fill_encoder(spec: Any, weights: _Weights) -> None:
    sizes, width = weights.sizes, weights.sizes["n_audio_state"]
    for place, (conv, inputs) in enumerate(((spec.conv1, sizes["n_mels"]), (spec.conv2, width)), 1):
        conv.weight = weights.get(f"encoder.conv{place}.weight", width, inputs, 3)
        conv.bias = weights.get(f"encoder.conv{place}.bias", width)
    spec.position_encodings.encodings = weights.get("encoder.positional_embedding", sizes["n_audio_ctx"], width)
    for place, layer in enumerate(spec.layer):
        _fill_layer(layer, weights, f"encoder.blocks.{place}", width)
    weights.norm(spec.layer_norm, "encoder.ln_post", width)


def _fill_decoder(spec: Any, weights: _Weights) -> None:
    sizes, width = weights.sizes, weights.sizes["n_text_state"]
    spec.embeddings.weight = weights.get("decoder.token_embedding.weight", sizes["n_vocab"], width)
    # The output is the embedding, used backwards: one array, so that it is written once.
    spec.projection.weight = spec.embeddings.weight
    spec.position_encodings.encodings = weights.get("decoder.positional_embedding", sizes["n_text_ctx"], width)
    for place, layer in enumerate(spec.layer):
        name = f"decoder.blocks.{place}"
        _fill_layer(layer, weights, name, width)
        cross = layer.attention
        weights.norm(cross.layer_norm, f"{name}.cross_attn_ln", width)
        weights.linear(cross.linear[0], f"{name}.cross_attn.query", width, width)
        weights.joined(cross.linear[1], [f"{name}.cross_attn.key", f"{name}.cross_attn.value"], width)
        weights.linear(cross.linear[2], f"{name}.cross_attn.out", width, width)
    weights.norm(spec.layer_norm, "decoder.ln", width)


def _fill_layer(layer: Any, weights: _Weights, name: str, width: int) -> None:
    """What the layers of the encoder and of the decoder have in common: attention to themselves, and two matrices."""
    own = layer.self_attention
    weights.norm(own.layer_norm, f"{name}.attn_ln", width)
    weights.joined(own.linear[0], [f"{name}.attn.{part}" for part in ("query", "key", "value")], width)
    weights.linear(own.linear[1], f"{name}.attn.out", width, width)
    weights.norm(layer.ffn.layer_norm, f"{name}.mlp_ln", width)
    weights.linear(layer.ffn.linear_0, f"{name}.mlp.0", 4 * width, width)
    weights.linear(layer.ffn.linear_1, f"{name}.mlp.2", width, 4 * width)

"""Conversion of made-up checkpoints. tests/contract/test_checkpoint.py does it with real weights, and listens to the result."""

import json
from pathlib import Path
from typing import Any

import checkpoints
import ctranslate2
import numpy as np
import pytest

from hailo_whisper.models import catalog, official
from hailo_whisper.models.checkpoint import Checkpoint
from hailo_whisper.models.conversion import ConversionFailed, convert
from hailo_whisper.models.sums import difference

HEADS = [(0, 1)]


def _convert(into: Path, sizes: dict[str, int], tensors: dict[str, Any]) -> list[str]:
    into.mkdir(exist_ok=True)
    return convert(Checkpoint(sizes, tensors), HEADS, into)


@pytest.mark.parametrize(
    ("vocabulary", "mels", "last"),
    [
        (official.ENGLISH, 80, "vocabulary.txt"),
        (official.MULTILINGUAL, 80, "vocabulary.txt"),
        (official.MULTILINGUAL_V3, 128, "preprocessor_config.json"),
    ],
)
def test_a_converted_model_is_one_that_ctranslate2_takes(tmp_path: Path, vocabulary: int, mels: int, last: str) -> None:
    sizes, tensors = checkpoints.made_up(vocabulary, mels=mels)
    names = _convert(tmp_path / "model", sizes, tensors)
    assert names[0] == "model.bin"
    assert names[-1] == last
    assert sorted(names) == sorted(path.name for path in (tmp_path / "model").iterdir())
    model = ctranslate2.models.Whisper(str(tmp_path / "model"), compute_type="float32")
    assert model.is_multilingual == (vocabulary != official.ENGLISH)
    assert model.n_mels == mels
    features = ctranslate2.StorageView.from_array(np.zeros((1, mels, 20), np.float32))
    (said,) = model.generate(features, [["<|startoftranscript|>"]], max_length=5, beam_size=1)
    assert said.sequences_ids[0]
    back = checkpoints.of_model(tmp_path / "model")
    assert back[0] == sizes
    assert back[1].keys() == tensors.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(back[1][name], tensor)


def test_wide_numbers_become_float16(tmp_path: Path) -> None:
    sizes, tensors = checkpoints.made_up()
    _convert(tmp_path / "narrow", sizes, tensors)
    _convert(tmp_path / "wide", sizes, {name: tensor.astype(np.float32) for name, tensor in tensors.items()})
    assert (tmp_path / "narrow" / "model.bin").read_bytes() == (tmp_path / "wide" / "model.bin").read_bytes()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n_vocab": 100}, "has 100 tokens"),
        ({"n_vocab": 10**9}, "does not have the sizes"),
        ({"n_audio_layer": 65}, "does not have the sizes"),
        ({"n_text_ctx": 0}, "does not have the sizes"),
        ({"n_wings": 2}, "does not have the sizes"),
        ({"n_audio_head": 3}, "do not fit its heads"),
        ({"n_text_head": 3}, "do not fit its heads"),
        ({"n_text_layer": 2}, r"lacks decoder\.blocks\.1"),
        ({"n_mels": 81}, r"encoder\.conv1\.weight has the shape \(8, 80, 3\) and must have \(8, 81, 3\)"),
    ],
)
def test_sizes_that_are_not_the_models_are_refused(tmp_path: Path, change: dict[str, int], said: str) -> None:
    sizes, tensors = checkpoints.made_up()
    with pytest.raises(ConversionFailed, match=said):
        _convert(tmp_path / "model", sizes | change, tensors)


@pytest.mark.parametrize("name", ["encoder.conv2.bias", "decoder.blocks.0.cross_attn.key.weight", "decoder.ln.bias"])
def test_a_missing_tensor_is_named(tmp_path: Path, name: str) -> None:
    sizes, tensors = checkpoints.made_up()
    del tensors[name]
    with pytest.raises(ConversionFailed, match=f"lacks {name}"):
        _convert(tmp_path / "model", sizes, tensors)


@pytest.mark.parametrize("name", [checkpoint.name for checkpoint in official.load() if checkpoint.name != "large-v1"])
def test_the_small_files_are_the_published_ones(tmp_path: Path, name: str) -> None:
    """By the sums in the catalog: the tokenizer, the vocabulary and, with the model's heads, the settings."""
    heads = next(checkpoint.heads for checkpoint in official.load() if checkpoint.name == name)
    newer = "v3" in name
    vocabulary = official.ENGLISH if name.endswith(".en") else official.MULTILINGUAL_V3 if newer else official.MULTILINGUAL
    sizes, tensors = checkpoints.made_up(vocabulary, mels=128 if newer else 80)
    names = convert(Checkpoint(sizes, tensors), heads, tmp_path)
    files = catalog.load().get(name).files
    assert files.keys() == set(names)
    # The published tokenizers of large-v3 were written by other versions of the library: the same tokens, in other words.
    for file in files.keys() - ({"model.bin", "tokenizer.json"} if newer else {"model.bin"}):
        assert difference(tmp_path / file, files[file]) is None


def test_large_v3_has_a_token_for_cantonese_behind_the_languages() -> None:
    before = json.loads(official.tokenizer(official.MULTILINGUAL))
    after = json.loads(official.tokenizer(official.MULTILINGUAL_V3))
    assert after["model"] == before["model"]
    old = {token["content"]: token["id"] for token in before["added_tokens"]}
    new = {token["content"]: token["id"] for token in after["added_tokens"]}
    moved = {content: number + (number > old["<|su|>"]) for content, number in old.items()}
    moved["<|nospeech|>"] = moved.pop("<|nocaptions|>")
    assert new == moved | {"<|yue|>": 50358}
    assert list(new.values()) == sorted(new.values())
    assert after["post_processor"]["special_tokens"]["<|notimestamps|>"]["ids"] == [50364]
    tokens = official.tokens(json.dumps(after), official.MULTILINGUAL_V3)
    assert len(tokens) == len(set(tokens)) == official.MULTILINGUAL_V3
    assert (tokens[50358], tokens[50365], tokens[-1]) == ("<|yue|>", "<|0.00|>", "<|30.00|>")
    settings = official.suppressed(official.MULTILINGUAL_V3)
    assert settings["lang_ids"][-1] == 50358
    assert settings["suppress_ids"][-6:] == [50258, 50359, 50360, 50361, 50362, 50363]


def test_every_official_checkpoint_is_known_once() -> None:
    known = official.load()
    names = [checkpoint.name for checkpoint in known]
    sizes = [f"{size}{suffix}" for size in ("tiny", "base", "small", "medium") for suffix in (".en", "")]
    assert names == [*sizes, "large-v1", "large-v2", "large-v3", "large-v3-turbo"]
    assert len({checkpoint.sha256 for checkpoint in known}) == len(known)

"""Checkpoints as torch.save writes them, made without torch: of the weights of a real model, or of made-up ones."""

import io
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

# The order of the numbers in CTranslate2's files.
NUMBERS = (np.float32, np.int8, np.int16, np.int32, np.float16)


class _Tensor:
    """Stands for a tensor: pickled as torch pickles one."""

    def __init__(self, key: str, array: Array) -> None:
        self.key, self.array = key, array


class _Stored:
    def __init__(self, tensor: _Tensor) -> None:
        self.tensor = tensor


def torch_modules() -> dict[str, types.ModuleType]:
    """Modules with the names that a checkpoint has in it, for pickle to find while it writes."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for module, name in ((torch, "HalfStorage"), (torch, "FloatStorage"), (utils, "_rebuild_tensor_v2")):
        setattr(module, name, type(name, (), {"__module__": module.__name__}))
    return {"torch": torch, "torch._utils": utils}


class _Pickler(pickle.Pickler):
    def __init__(self, stream: io.BytesIO, modules: Mapping[str, types.ModuleType]) -> None:
        super().__init__(stream, protocol=2)
        self._modules = modules

    def persistent_id(self, obj: object) -> object:
        if not isinstance(obj, _Stored):
            return None
        half = obj.tensor.array.dtype == np.float16
        kind = getattr(self._modules["torch"], "HalfStorage" if half else "FloatStorage")
        return ("storage", kind, obj.tensor.key, "cpu", obj.tensor.array.size)

    def reducer_override(self, obj: object) -> Any:
        if not isinstance(obj, _Tensor):
            return NotImplemented
        strides = tuple(stride // obj.array.itemsize for stride in obj.array.strides)
        rebuild = self._modules["torch._utils"]._rebuild_tensor_v2
        return (rebuild, (_Stored(obj), 0, obj.array.shape, strides, False, OrderedDict()))


def write(path: Path, sizes: Mapping[str, int], tensors: Mapping[str, Array]) -> Path:
    """Write a checkpoint as OpenAI's are. Returns the path."""
    wrapped = OrderedDict((name, _Tensor(str(place), array)) for place, (name, array) in enumerate(tensors.items()))
    modules, stream = torch_modules(), io.BytesIO()
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        _Pickler(stream, modules).dump({"dims": dict(sizes), "model_state_dict": wrapped})
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
    return write_zip(path, stream.getvalue(), {tensor.key: tensor.array.tobytes("A") for tensor in wrapped.values()})


def write_zip(path: Path, described: bytes, numbers: Mapping[str, bytes] | None = None, byteorder: bytes = b"little") -> Path:
    """Write the zip around a pickle and its numbers. Returns the path."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", described)
        archive.writestr("archive/byteorder", byteorder)
        for key, content in (numbers or {}).items():
            archive.writestr(f"archive/data/{key}", content)
        archive.writestr("archive/version", b"3\n")
    return path


def made_up(vocabulary: int = 51864, width: int = 8, mels: int = 80) -> tuple[dict[str, int], dict[str, Array]]:
    """The sizes and the tensors of a Whisper of one layer that says nothing sensible."""
    sizes = {"n_mels": mels, "n_vocab": vocabulary, "n_audio_ctx": 10, "n_text_ctx": 10}
    for part in ("audio", "text"):
        sizes |= {f"n_{part}_state": width, f"n_{part}_head": 2, f"n_{part}_layer": 1}
    random = np.random.default_rng(5)
    shapes: dict[str, tuple[int, ...]] = {
        "encoder.positional_embedding": (10, width),
        "encoder.conv1.weight": (width, mels, 3),
        "encoder.conv1.bias": (width,),
        "encoder.conv2.weight": (width, width, 3),
        "encoder.conv2.bias": (width,),
        "decoder.token_embedding.weight": (vocabulary, width),
        "decoder.positional_embedding": (10, width),
    }
    for norm in ("encoder.ln_post", "decoder.ln"):
        shapes |= _shapes_of_norm(norm, width)
    for block, attentions in (("encoder.blocks.0", ("attn",)), ("decoder.blocks.0", ("attn", "cross_attn"))):
        for attention in attentions:
            shapes |= _shapes_of_norm(f"{block}.{attention}_ln", width)
            for part in ("query", "key", "value", "out"):
                shapes[f"{block}.{attention}.{part}.weight"] = (width, width)
                if part != "key":
                    shapes[f"{block}.{attention}.{part}.bias"] = (width,)
        shapes |= _shapes_of_norm(f"{block}.mlp_ln", width)
        shapes |= {f"{block}.mlp.0.weight": (4 * width, width), f"{block}.mlp.0.bias": (4 * width,)}
        shapes |= {f"{block}.mlp.2.weight": (width, 4 * width), f"{block}.mlp.2.bias": (width,)}
    return sizes, {name: random.normal(size=shape).astype(np.float16) for name, shape in shapes.items()}


def _shapes_of_norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def of_model(folder: Path) -> tuple[dict[str, int], dict[str, Array]]:
    """The sizes and the tensors that the checkpoint must have had of which a model of CTranslate2 was made."""
    spec = _spec(folder / "model.bin")
    width = spec["decoder/embeddings/weight"].shape[1]
    sizes = {"n_vocab": spec["decoder/embeddings/weight"].shape[0], "n_mels": spec["encoder/conv1/weight"].shape[1]}
    for part, side in (("audio", "encoder"), ("text", "decoder")):
        sizes[f"n_{part}_ctx"] = spec[f"{side}/position_encodings/encodings"].shape[0]
        sizes[f"n_{part}_state"] = width
        sizes[f"n_{part}_head"] = int(spec[f"{side}/num_heads"])
        sizes[f"n_{part}_layer"] = sum(name.startswith(side) and name.endswith("ffn/linear_0/bias") for name in spec)
    tensors = {
        "decoder.token_embedding.weight": spec["decoder/embeddings/weight"],
        "decoder.positional_embedding": spec["decoder/position_encodings/encodings"],
        "encoder.positional_embedding": spec["encoder/position_encodings/encodings"],
    }
    for conv in ("conv1", "conv2"):
        for kind in ("weight", "bias"):
            tensors[f"encoder.{conv}.{kind}"] = spec[f"encoder/{conv}/{kind}"]
    for side, norm in (("encoder", "ln_post"), ("decoder", "ln")):
        tensors |= _norm(spec, f"{side}/layer_norm", f"{side}.{norm}")
        for layer in range(sizes[f"n_{'audio' if side == 'encoder' else 'text'}_layer"]):
            tensors |= _layer(spec, f"{side}/layer_{layer}", f"{side}.blocks.{layer}", width, cross=side == "decoder")
    return sizes, tensors


def _layer(spec: Mapping[str, Array], old: str, new: str, width: int, *, cross: bool) -> dict[str, Array]:
    tensors = _norm(spec, f"{old}/ffn/layer_norm", f"{new}.mlp_ln")
    for linear, place in (("linear_0", 0), ("linear_1", 2)):
        tensors |= _linear(spec, f"{old}/ffn/{linear}", f"{new}.mlp.{place}")
    tensors |= _norm(spec, f"{old}/self_attention/layer_norm", f"{new}.attn_ln")
    tensors |= _split(spec, f"{old}/self_attention/linear_0", [f"{new}.attn.{part}" for part in ("query", "key", "value")], width)
    tensors |= _linear(spec, f"{old}/self_attention/linear_1", f"{new}.attn.out")
    if cross:
        tensors |= _norm(spec, f"{old}/attention/layer_norm", f"{new}.cross_attn_ln")
        tensors |= _linear(spec, f"{old}/attention/linear_0", f"{new}.cross_attn.query")
        tensors |= _split(spec, f"{old}/attention/linear_1", [f"{new}.cross_attn.{part}" for part in ("key", "value")], width)
        tensors |= _linear(spec, f"{old}/attention/linear_2", f"{new}.cross_attn.out")
    return tensors


def _norm(spec: Mapping[str, Array], old: str, new: str) -> dict[str, Array]:
    return {f"{new}.weight": spec[f"{old}/gamma"], f"{new}.bias": spec[f"{old}/beta"]}


def _linear(spec: Mapping[str, Array], old: str, new: str) -> dict[str, Array]:
    return {f"{new}.weight": spec[f"{old}/weight"], f"{new}.bias": spec[f"{old}/bias"]}


def _split(spec: Mapping[str, Array], old: str, names: list[str], width: int) -> dict[str, Array]:
    found = {}
    for place, name in enumerate(names):
        rows = slice(place * width, (place + 1) * width)
        found[f"{name}.weight"] = spec[f"{old}/weight"][rows]
        if not name.endswith(".key"):
            found[f"{name}.bias"] = spec[f"{old}/bias"][rows]
    return found


def _spec(path: Path) -> dict[str, Array]:
    """The arrays in a file of CTranslate2, by their names."""
    with path.open("rb") as file:

        def number(form: str) -> int:
            (value,) = struct.unpack(form, file.read(struct.calcsize(form)))
            return int(value)

        def text() -> str:
            return file.read(number("H"))[:-1].decode()

        number("I"), text(), number("I")
        arrays = {}
        for _ in range(number("I")):
            name = text()
            shape = tuple(number("I") for _ in range(number("B")))
            numbers = NUMBERS[number("B")]
            arrays[name] = np.frombuffer(file.read(number("I")), numbers).reshape(shape)
    return arrays

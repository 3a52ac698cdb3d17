"""The emulated device runs networks as HailoRT's InferModel does, with all that it refuses."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emulated import Device


@pytest.fixture
def pair(device: Device, tmp_path: Path) -> Path:
    device.become("4.23.0")
    return device.pair(tmp_path / "pair", says="hello")


@pytest.fixture
def platform(pair: Path) -> Any:
    return importlib.import_module("hailo_platform")


@pytest.fixture
def vdevice(platform: Any) -> Iterator[Any]:
    found = platform.VDevice()
    yield found
    found.release()


@pytest.fixture
def encoder(platform: Any, vdevice: Any, pair: Path) -> Any:
    """The encoder, ready to be configured."""
    model = vdevice.create_infer_model(str(pair / "my-encoder.hef"))
    for stream in (model.input(), model.output()):
        stream.set_format_type(platform.FormatType.FLOAT32)
    return model


def _bound(model: Any) -> tuple[Any, Any, Any]:
    configured = model.configure()
    bindings = configured.create_bindings()
    bindings.input().set_buffer(np.ones(model.input().shape, np.float32))
    found = np.zeros(model.output().shape, np.float32)
    bindings.output().set_buffer(found)
    return configured, bindings, found


def test_what_a_hef_tells(platform: Any, pair: Path) -> None:
    encoder, decoder = (platform.HEF(str(pair / f"my-{name}.hef")) for name in ("encoder", "decoder"))
    (sound,) = encoder.get_input_vstream_infos()
    assert sound.shape == (1, 500, 80)
    assert encoder.get_output_vstream_infos()[0].shape == (1, 250, 4)
    assert decoder.get_network_group_names() == ["my-decoder"]
    assert [info.name for info in decoder.get_input_vstream_infos()] == ["my-decoder/input_layer1", "my-decoder/input_layer2"]
    parts = decoder.get_output_vstream_infos()
    assert [info.name for info in parts] == decoder.get_sorted_output_names()
    assert sum(info.shape[2] for info in parts) == 51865
    assert {info.shape[1] for info in parts} == {32}


def test_a_run(encoder: Any) -> None:
    configured, bindings, found = _bound(encoder)
    configured.run([bindings], 1000)
    assert (found == 1).all()
    assert bindings.output().get_buffer() is found


def test_an_output_is_to_be_set_for_each_run(encoder: Any) -> None:
    configured, bindings, _ = _bound(encoder)
    configured.run([bindings], 1000)
    with pytest.raises(RuntimeError, match="not set since the last run"):
        configured.run([bindings], 1000)


@pytest.mark.parametrize("buffer", [np.zeros(40000, np.uint8), np.zeros(3, np.float32)], ids=["quantized", "too small"])
def test_a_buffer_of_another_size(encoder: Any, buffer: Any) -> None:
    configured, bindings, _ = _bound(encoder)
    bindings.input().set_buffer(buffer)
    with pytest.raises(Exception, match="Invalid operation"):
        configured.run([bindings], 1000)


def test_one_whose_format_was_not_set_wants_bytes(vdevice: Any, pair: Path) -> None:
    model = vdevice.create_infer_model(str(pair / "my-encoder.hef"))
    configured, bindings, _ = _bound(model)
    with pytest.raises(Exception, match="Invalid operation"):
        configured.run([bindings], 1000)


def test_arrays_that_it_refuses(encoder: Any) -> None:
    bindings = encoder.configure().create_bindings()
    with pytest.raises(Exception, match="C_CONTIGUOUS"):
        bindings.input().set_buffer(np.zeros((500, 160), np.float32)[:, ::2])
    frozen = np.zeros((500, 80), np.float32)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="not writeable"):
        bindings.input().set_buffer(frozen)


def test_names_that_are_none(vdevice: Any, pair: Path) -> None:
    decoder = vdevice.create_infer_model(str(pair / "my-decoder.hef"))
    for find in (decoder.input, decoder.output):
        with pytest.raises(Exception, match="Item not found"):
            find()
        with pytest.raises(Exception, match="Item not found"):
            find("nobody")


def test_it_waits_no_longer_than_it_is_told(device: Device, encoder: Any) -> None:
    configured, bindings, _ = _bound(encoder)
    device.tell("infer stall")
    with pytest.raises(Exception, match="timeout had occurred"):
        configured.run([bindings], 50)


@pytest.mark.parametrize(
    ("made_for", "device_is", "fits"), [("hailo8l", "HAILO8", True), ("hailo8", "HAILO8L", False), ("hailo10h", "HAILO8", False)]
)
def test_which_device_takes_what(
    device: Device, platform: Any, tmp_path: Path, made_for: str, device_is: str, fits: bool
) -> None:
    device.tell(f"arch {device_is}")
    folder = device.pair(tmp_path / "other", made_for, says="hello")
    vdevice = platform.VDevice()
    if fits:
        vdevice.create_infer_model(str(folder / "my-encoder.hef"))
    else:
        with pytest.raises(Exception, match="HEF file is not compatible with device"):
            vdevice.create_infer_model(str(folder / "my-encoder.hef"))

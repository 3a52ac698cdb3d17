"""Reading checkpoints: good ones, broken ones, and ones that want to run something."""

import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import checkpoints
import numpy as np
import pytest

from hailo_whisper.models.checkpoint import LARGEST_PICKLE, CheckpointUnreadable, read


class Malicious:
    """Unpickled, it makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (os.system, (f"touch {self.mark}",))


def test_a_checkpoint_is_read_as_it_was_written(tmp_path: Path) -> None:
    sizes, tensors = checkpoints.made_up()
    tensors["another"] = np.arange(12, dtype=np.float32).reshape(3, 4).T
    tensors["one number"] = np.full((), 2.5, np.float32)
    found = read(checkpoints.write(tmp_path / "ours.pt", sizes, tensors))
    assert found.sizes == sizes
    assert found.tensors.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found.tensors[name].dtype == tensor.dtype
        assert not found.tensors[name].flags.writeable
        np.testing.assert_array_equal(found.tensors[name], tensor)


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_calls_something_is_refused_and_nothing_is_run(tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "run"
    described = pickle.dumps({"dims": {}, "model_state_dict": {"a": Malicious(mark)}}, protocol)
    # The pickle itself works: what follows is not refused because it was harmless.
    pickle.loads(described)
    assert mark.exists()
    mark.unlink()
    with pytest.raises(CheckpointUnreadable, match=r"which no checkpoint needs|makes no sense") as caught:
        read(checkpoints.write_zip(tmp_path / "evil.pt", described))
    assert not mark.exists()
    if protocol >= 2:
        assert "it wants to call posix.system" in str(caught.value)
        assert "nothing of it was run" in str(caught.value)


@pytest.mark.parametrize(
    "described",
    [
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"(ibuiltins\neval\n.",
        b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.",
        b"\x80\x02ctorch\nload\n.",
        b"\x80\x02ctorch\nHalfStorage\n)\x81.",
        b"\x80\x02\x82\x01.",
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}b.",
        b"\x80\x02cos\nsystem\n.",
    ],
    ids=["eval", "instance", "stack", "load", "newobj", "extension", "build", "name only"],
)
def test_words_that_no_checkpoint_needs_are_refused(tmp_path: Path, described: bytes) -> None:
    with pytest.raises(CheckpointUnreadable, match=r"which no checkpoint needs|sets the insides"):
        read(checkpoints.write_zip(tmp_path / "evil.pt", described))


@pytest.mark.parametrize(
    ("described", "said"),
    [
        (b"", "makes no sense"),
        (b"\x80\x02}", "makes no sense"),
        (b"\x80\x02.", "makes no sense"),
        (b"hello", "makes no sense|no checkpoint needs"),
        (b"\x80\x02t.", "makes no sense"),
        (b"\x80\x02(}\x85.", "has no dims"),
        (b"\x80\x02(\x85.", "makes no sense"),
        (b"\x80\x02h\x05.", "makes no sense"),
        (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nK\x01R.", "makes no sense"),
        (b"\x80\x02ctorch\nHalfStorage\n)R.", "makes no sense"),
        (b"\x80\x02X\x05\x00\x00\x00helloQ.", "makes no sense"),
        (pickle.dumps({"weights": 1}, 2), "has no dims"),
        (pickle.dumps([1], 2), "no checkpoint needs|has no dims"),
        (pickle.dumps({"dims": {"n_mels": True}, "model_state_dict": {}}, 2), "not what they should be"),
        (pickle.dumps({"dims": {}, "model_state_dict": {"a": 1}}, 2), "not what they should be"),
        (pickle.dumps({"dims": 5, "model_state_dict": {}}, 2), "not what they should be"),
    ],
)
def test_a_pickle_that_describes_no_checkpoint_is_refused(tmp_path: Path, described: bytes, said: str) -> None:
    with pytest.raises(CheckpointUnreadable, match=said):
        read(checkpoints.write_zip(tmp_path / "odd.pt", described))


def test_what_is_no_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "page.pt"
    for content in (b"", b"<!doctype html>", pickle.dumps({"dims": {}, "model_state_dict": {}})):
        path.write_bytes(content)
        with pytest.raises(CheckpointUnreadable, match=r"page\.pt is not a checkpoint of Whisper.*no zip file.*\.cache/whisper"):
            read(path)


@pytest.mark.parametrize("cut", [0.2, 0.9, 0.999])
def test_a_file_that_ends_early_is_refused(tmp_path: Path, cut: float) -> None:
    path = checkpoints.write(tmp_path / "cut.pt", *checkpoints.made_up())
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * cut)])
    with pytest.raises(CheckpointUnreadable):
        read(path)


def test_numbers_that_are_missing_or_of_another_length_are_refused(tmp_path: Path) -> None:
    path = checkpoints.write(tmp_path / "whole.pt", *checkpoints.made_up())
    with zipfile.ZipFile(path) as archive:
        described = archive.read("archive/data.pkl")
        numbers = {name.rsplit("/", 1)[1]: archive.read(name) for name in archive.namelist() if "/data/" in name}
    for wrong in (numbers | {"3": numbers["3"][:-2]}, {key: content for key, content in numbers.items() if key != "3"}):
        with pytest.raises(CheckpointUnreadable, match="the numbers 3 are missing or cut short"):
            read(checkpoints.write_zip(tmp_path / "wrong.pt", described, wrong))
    with pytest.raises(CheckpointUnreadable, match="not little-endian"):
        read(checkpoints.write_zip(tmp_path / "wrong.pt", described, numbers, b"big"))


@pytest.mark.parametrize("change", [(b"K\x08\x85", b"K\x09\x85"), (b"K\x01\x85", b"K\x7f\x85")], ids=["shape", "stride"])
def test_a_tensor_that_reaches_past_its_numbers_is_refused(tmp_path: Path, change: tuple[bytes, bytes]) -> None:
    path = checkpoints.write(tmp_path / "whole.pt", {}, {"a": np.arange(8, dtype=np.float16)})
    with zipfile.ZipFile(path) as archive:
        described = archive.read("archive/data.pkl")
    assert described.count(change[0]) == 1
    with pytest.raises(CheckpointUnreadable, match="reaches past the numbers"):
        read(checkpoints.write_zip(tmp_path / "wrong.pt", described.replace(*change), {"0": bytes(16)}))


def test_packed_members_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(10_000_000))
    with pytest.raises(CheckpointUnreadable, match=r"archive/data\.pkl is packed"):
        read(path)


def test_sizes_are_bounded(tmp_path: Path) -> None:
    with pytest.raises(CheckpointUnreadable, match=r"its data\.pkl has 8000001 bytes"):
        read(checkpoints.write_zip(tmp_path / "large.pt", bytes(LARGEST_PICKLE + 1)))
    with pytest.raises(CheckpointUnreadable, match="it has 10004 parts"):
        read(checkpoints.write_zip(tmp_path / "many.pt", b"", {str(place): b"" for place in range(10_001)}))
    with zipfile.ZipFile(tmp_path / "none.pt", "w") as archive:
        archive.writestr("model/other", b"")
    with pytest.raises(CheckpointUnreadable, match=r"it has no data\.pkl"):
        read(tmp_path / "none.pt")


def test_reading_imports_neither_torch_nor_pickle(tmp_path: Path) -> None:
    path = checkpoints.write(tmp_path / "ours.pt", *checkpoints.made_up())
    program = (
        "import sys, pathlib\nfrom hailo_whisper.models import checkpoint\n"
        "import pickle; pickle.loads = pickle.load = pickle.Unpickler = pickle._Unpickler = None\n"
        "print(len(checkpoint.read(pathlib.Path(sys.argv[1])).tensors)); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == [str(len(checkpoints.made_up()[1])), "False"]

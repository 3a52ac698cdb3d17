import os
import struct
from pathlib import Path
from typing import Any

import pytest
import yaml
from hefs import hef

from hailo_whisper.models import catalog
from hailo_whisper.models.plausible import LARGEST_JSON, doubt
from hailo_whisper.models.pull import PullFailed, pull
from hailo_whisper.models.sources import FolderSource
from hailo_whisper.models.store import Store


@pytest.mark.parametrize(
    ("name", "data"),
    [("config.json", b'{"a": [1]}'), ("a.npy", b"\x93NUMPY\x01"), ("voice.pt", b"PK\x03\x04"), ("model.bin", b"anything")],
)
def test_what_can_be_what_it_says(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    assert doubt(tmp_path / name) is None


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.hef", b"<html>", "a.hef is no HEF: it does not begin as one"),
        ("a.hef", b"\x01H", "a.hef is no HEF: it does not begin as one"),
        ("a.hef", struct.pack(">III", 0x01484546, 2, 5), "a.hef is cut short"),
        ("voice.pt", b"\x80\x02", "voice.pt is no PT file"),
        ("a.npy", b"<html>", "a.npy is no NPY file"),
        ("config.json", b"Not found", "config.json is not JSON"),
        ("config.json", b"\xff\xfe\xff", "config.json is not JSON"),
        ("config.json", b"[" * 200_000, "config.json is not JSON"),
    ],
)
def test_what_cannot(tmp_path: Path, name: str, data: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(data)
    assert said in (doubt(tmp_path / name) or "")


def test_a_hef_for_another_device(tmp_path: Path) -> None:
    path = tmp_path / "a.hef"
    path.write_bytes(hef("hailo8l"))
    assert doubt(path) is None
    assert doubt(path, ["hailo8", "hailo8l"]) is None
    assert doubt(path, ["hailo10h"]) == "a.hef was made for hailo8l and not for hailo10h"


def test_half_a_hef(tmp_path: Path) -> None:
    (tmp_path / "a.hef").write_bytes(hef()[:500])
    assert "a.hef is cut short or damaged: it has 500 bytes" in (doubt(tmp_path / "a.hef") or "")


def test_a_hef_of_a_layout_of_tomorrow_is_for_hailort_to_judge(tmp_path: Path) -> None:
    (tmp_path / "a.hef").write_bytes(struct.pack(">III", 0x01484546, 9, 5))
    assert doubt(tmp_path / "a.hef", ["hailo10h"]) is None


def test_what_is_too_large_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b"{}")
    os.truncate(tmp_path / "config.json", LARGEST_JSON + 1)
    assert doubt(tmp_path / "config.json") == "config.json is not JSON"


def test_it_is_not_pinned(family: dict[str, Any], stick: Path, tmp_path: Path) -> None:
    entry = family["models"][0] | {"size_mb": 1}
    entry["files"]["config.json"] = {}
    entry["sources"] = {}
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "family.yaml").write_text(yaml.safe_dump(family | {"models": [entry]}))
    store = Store(tmp_path / "store", catalog.load(tmp_path / "odd"))
    (stick / "config.json").write_text("Not found")
    with pytest.raises(PullFailed, match=r"what arrived cannot be the model: config\.json is not JSON"):
        pull("small", store, [FolderSource(stick)])
    assert not (store.root / "small").exists()

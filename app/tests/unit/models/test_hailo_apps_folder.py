"""HEFs of the store, where hailo-apps looks for them."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hefs import hef

from hailo_whisper.models import catalog
from hailo_whisper.models.hailo_apps_folder import hide, show
from hailo_whisper.models.placement import PlacementFailed
from hailo_whisper.models.pull import pull
from hailo_whisper.models.sources import FolderSource
from hailo_whisper.models.store import Store


@pytest.fixture
def npu(tmp_path: Path) -> Store:
    """A store with Whisper-Base."""
    (tmp_path / "stick").mkdir()
    (tmp_path / "stick" / "Whisper-Base.hef").write_bytes(hef())
    store = Store(tmp_path / "store", catalog.load())
    pull("Whisper-Base", store, [FolderSource(tmp_path / "stick")])
    return store


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where hailo-apps looks for it."""
    folder = tmp_path / "resources" / "models" / "hailo10h"
    folder.mkdir(parents=True)
    return folder / "Whisper-Base.hef"


def test_it_is_linked_once_and_goes_with_the_model(npu: Store, tmp_path: Path, place: Path) -> None:
    resources = tmp_path / "resources"
    assert show("Whisper-Base", npu, resources, pretend=True)
    assert not place.is_symlink()
    assert show("Whisper-Base", npu, resources)
    assert place.read_bytes() == hef()
    assert place.readlink() == npu.root / "Whisper-Base" / "Whisper-Base.hef"
    assert not show("Whisper-Base", npu, resources)
    assert not show("Whisper-Base", npu, resources, pretend=True)
    hide(npu.model("Whisper-Base"), npu, resources)
    assert not place.is_symlink()
    hide(npu.model("Whisper-Base"), npu, resources)


def test_a_link_that_leads_elsewhere_is_mended(npu: Store, tmp_path: Path, place: Path) -> None:
    place.symlink_to(tmp_path / "gone.hef")
    hide(npu.model("Whisper-Base"), npu, tmp_path / "resources")
    assert place.is_symlink(), "it is none of ours"
    assert show("Whisper-Base", npu, tmp_path / "resources")
    assert place.read_bytes() == hef()
    assert [path.name for path in place.parent.iterdir()] == [place.name]


def test_the_same_bytes_give_way_and_others_stay(npu: Store, tmp_path: Path, place: Path) -> None:
    lines: list[str] = []
    place.write_bytes(hef(weights=bytes(7)))
    assert not show("Whisper-Base", npu, tmp_path / "resources", lines.append)
    assert "is another file than the one that was verified. It stays" in lines[0]
    assert place.read_bytes() == hef(weights=bytes(7))
    place.write_bytes(hef())
    assert show("Whisper-Base", npu, tmp_path / "resources")
    assert place.is_symlink()


def test_without_such_a_folder_and_for_other_models_there_is_nothing_to_do(npu: Store, tmp_path: Path, place: Path) -> None:
    assert not show("Whisper-Base", npu, tmp_path / "elsewhere")
    assert not show("base", npu, tmp_path / "resources")
    assert not show("whisper-base-hailo8", npu, tmp_path / "resources")
    place.parent.rmdir()
    assert not show("Whisper-Base", npu, tmp_path / "resources")


def test_a_folder_that_cannot_be_written(
    npu: Store, tmp_path: Path, place: Path, as_nobody: Callable[[Callable[[], object], type[Exception]], str]
) -> None:
    if os.geteuid():
        place.parent.chmod(0o500)
    for folder in (tmp_path, *tmp_path.parents[:3], npu.root, npu.root / "Whisper-Base"):
        folder.chmod(0o755)
    said = as_nobody(lambda: show("Whisper-Base", npu, tmp_path / "resources"), PlacementFailed)
    assert f"{place.parent} cannot be written by" in said
    assert "Run the command as root" in said

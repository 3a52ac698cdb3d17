"""Where a model's HEF is: in the store, where hailo-apps keeps it, or where its owner says."""

from pathlib import Path

import pytest

from hailo_whisper.models import hefs
from hailo_whisper.models.unusable import ModelMissing, ModelUnusable


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x01HEF")
    return path


@pytest.mark.parametrize("name", ["base", "whisper-base", "Whisper-Base"])
def test_where_hailo_apps_keeps_it(tmp_path: Path, name: str) -> None:
    kept = _made(tmp_path / "resources" / "models" / "hailo10h" / "Whisper-Base.hef")
    assert hefs.find(name, None, tmp_path / "models", tmp_path / "resources") == kept


def test_a_name_that_never_was_is_resolved_and_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = _made(tmp_path / "models" / "hailo10h" / "Whisper-Small.hef")
    assert hefs.find("whisper-small-int8", None, tmp_path / "store", tmp_path) == kept
    assert "there is no model whisper-small-int8 for the Hailo NPU: Whisper-Small is taken" in caplog.text
    caplog.clear()
    assert hefs.find("small", None, tmp_path / "store", tmp_path) == kept
    assert not caplog.text


def test_one_in_the_store_comes_first(tmp_path: Path) -> None:
    _made(tmp_path / "models" / "hailo10h" / "Whisper-Base.hef")
    own = _made(tmp_path / "store" / "base" / "my.hef")
    assert hefs.find("base", None, tmp_path / "store", tmp_path) == own


def test_one_that_the_user_names(tmp_path: Path) -> None:
    path = _made(tmp_path / "own" / "my.hef")
    assert hefs.find("base", str(path), tmp_path, tmp_path) == path
    assert hefs.find("base", str(path.parent), tmp_path, tmp_path) == path
    _made(tmp_path / "own" / "other.hef")
    with pytest.raises(ModelUnusable, match=r"has my\.hef, other\.hef\. Set model\.path"):
        hefs.find("base", str(path.parent), tmp_path, tmp_path)
    with pytest.raises(ModelMissing, match="does not exist"):
        hefs.find("base", str(tmp_path / "none.hef"), tmp_path, tmp_path)


def test_none(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"There is no HEF of the model base: neither one in .* nor .*Whisper-Base\.hef"):
        hefs.find("base", None, tmp_path, tmp_path)

"""Which model the NPU gets: the best form of the configured one that is here, verified where it was pulled."""

import hashlib
from pathlib import Path

import pytest

from hailo_whisper.accelerators import hailo
from hailo_whisper.cli.choice import HefChoice
from hailo_whisper.models.store import Store, write_manifest
from hailo_whisper.models.unusable import ModelMissing, ModelUnusable

NAME = "Whisper-Base"
CONTENT = b"\x01HEF and more"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def choice(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HefChoice:
    monkeypatch.setattr(hailo, "architecture", lambda: "hailo10h")
    monkeypatch.setattr(hailo, "genai", lambda: True)
    return HefChoice(store, "base", path=None, resources=tmp_path / "resources")


@pytest.fixture
def pulled(store: Store) -> Path:
    path = store.root / NAME / f"{NAME}.hef"
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    write_manifest(path.parent, store.catalog.get(NAME), "https")
    return path


def test_a_pulled_one_has_its_sum_and_its_names(choice: HefChoice, pulled: Path, store: Store) -> None:
    found = choice.find()
    assert (found.name, found.path) == ("base", pulled)
    assert found.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert found.memory_mb == store.catalog.get(NAME).memory_mb
    assert found.names == (NAME,)


def test_one_of_hailo_apps_has_none(choice: HefChoice, tmp_path: Path) -> None:
    kept = tmp_path / "resources" / "models" / "hailo10h" / f"{NAME}.hef"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(CONTENT)
    found = choice.find()
    assert (found.path, found.sha256, found.names) == (kept, None, ())


def test_what_the_device_is_counts(choice: HefChoice, pulled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hailo, "architecture", lambda: "hailo8-family")
    with pytest.raises(ModelMissing, match=r"for the Hailo-8 or 8L: .*models pull whisper-base-hailo8l"):
        choice.find()


def test_a_damaged_one_is_hashed_once_until_it_changes(
    choice: HefChoice, pulled: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulled.write_bytes(CONTENT.upper())
    hashed: list[str] = []
    verify = store.verify

    def counted(name: str) -> None:
        hashed.append(name)
        verify(name)

    monkeypatch.setattr(store, "verify", counted)
    for _ in range(2):
        with pytest.raises(ModelUnusable, match=f"models pull {NAME} --force"):
            choice.find()
    assert hashed == [NAME]
    pulled.write_bytes(CONTENT)
    assert choice.find().path == pulled


def test_what_appears_is_found(choice: HefChoice, tmp_path: Path, store: Store) -> None:
    for _ in range(2):
        with pytest.raises(ModelMissing):
            choice.find()
    kept = tmp_path / "resources" / "models" / "hailo10h" / f"{NAME}.hef"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(CONTENT)
    assert choice.find().path == kept


def test_a_path_is_taken_as_it_is(store: Store, tmp_path: Path) -> None:
    choice = HefChoice(store, "base", path=str(tmp_path / "my.hef"), resources=tmp_path)
    with pytest.raises(ModelMissing, match="does not exist"):
        choice.find()
    (tmp_path / "my.hef").write_bytes(CONTENT)
    assert choice.find().path == tmp_path / "my.hef"

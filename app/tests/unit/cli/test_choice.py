"""Which model is loaded: the configured one, or one that stands in for it."""

import hashlib
from pathlib import Path

import pytest
from stored import MEMORY_MB, content, place, store_of, write_catalog

from hailo_whisper.cli.choice import PROCESS_MB, Choice, Finder
from hailo_whisper.engines.launch import Found
from hailo_whisper.failure import Failure
from hailo_whisper.models import catalog
from hailo_whisper.models import store as stores
from hailo_whisper.models.store import Store
from hailo_whisper.models.unusable import ModelMissing, ModelUnusable


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return store_of(tmp_path, "large", "small", "tiny")


def choice(store: Store, name: str = "large", fallback: tuple[str, ...] = (), path: Path | None = None) -> Choice:
    return Choice(store, name, engine="ctranslate2", path=path, fallback=fallback)


def refused(chosen: Choice) -> str:
    with pytest.raises(ModelUnusable) as caught:
        chosen.find()
    return str(caught.value)


def test_the_model_with_the_sum_of_its_weights(store: Store) -> None:
    folder = place(store, "large")
    weights = hashlib.sha256(content("large")["model.bin"]).hexdigest()
    assert choice(store).find() == Found("large", folder, sha256=weights, memory_mb=MEMORY_MB, names=("large", "the-large"))


def test_a_missing_model_says_which_command_mends_it(store: Store) -> None:
    with pytest.raises(ModelMissing, match="Run `hailo-whisper models pull large`"):
        choice(store).find()


def test_without_fallback_nothing_stands_in(store: Store) -> None:
    place(store, "tiny")
    assert refused(choice(store)).startswith("The model large is not in ")


def test_the_first_that_can_be_used_stands_in(store: Store) -> None:
    folder = place(store, "tiny")
    found = choice(store, fallback=("small", "tiny")).find()
    assert (found.name, found.path, found.fallback_for) == ("tiny", folder, "large")
    assert found.reason
    assert found.reason.startswith("The model tiny stands in for large (model.fallback). The model large is not in ")
    assert "Run `hailo-whisper models pull large`" in found.reason
    place(store, "small")
    chosen = choice(store, fallback=("small", "tiny"))
    assert chosen.find().name == "small"
    place(store, "large")
    assert chosen.find() == choice(store).find()


def test_when_none_of_them_can_be_used(store: Store) -> None:
    (place(store, "tiny") / "model.bin").unlink()
    sentence = refused(choice(store, fallback=("small", "tiny", "nonesuch")))
    assert sentence.startswith("The model large is not in ")
    assert sentence.endswith("Of model.fallback, none can be used either: small, tiny, nonesuch.")


def test_a_changed_byte_is_found_and_not_hashed_again_until_something_changes(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = place(store, "large") / "model.bin"
    good = weights.read_bytes()
    weights.write_bytes(b"X" + good[1:])
    chosen = choice(store)
    first = refused(chosen)
    assert "The model large in " in first
    assert "is damaged" in first
    hashed: list[str] = []
    verify = Store.verify

    def watched(self: Store, name: str) -> None:
        hashed.append(name)
        verify(self, name)

    monkeypatch.setattr(stores.Store, "verify", watched)
    assert refused(chosen) == first
    assert hashed == []
    weights.write_bytes(good)
    assert chosen.find().name == "large"
    assert hashed == ["large"]


def test_a_mode_that_is_mended_is_noticed(tmp_path: Path, model_folder: Path, store: Store) -> None:
    chosen = choice(store, path=model_folder)
    (model_folder / "config.json").write_text("")
    assert "config.json is empty" in refused(chosen)
    (model_folder / "config.json").write_text("{}")
    (model_folder / "config.json").chmod(0o600)
    assert chosen.find() == Found("large", model_folder, memory_mb=PROCESS_MB)


def test_a_model_of_another_engine(tmp_path: Path) -> None:
    write_catalog(tmp_path / "models.d", "whisper-hef", engine="hailo")
    store_of(tmp_path, "small", "tiny")
    store = Store(tmp_path / "store", catalog.load(tmp_path / "models.d"))
    place(store, "whisper-hef")
    assert refused(choice(store, "whisper-hef")) == (
        "The model whisper-hef is for the engine hailo, and this service needs one for ctranslate2. Use one of: small, tiny."
    )
    place(store, "tiny")
    assert choice(store, "whisper-hef", fallback=("tiny",)).find().name == "tiny"


def test_an_engine_that_the_catalog_does_not_know_takes_every_model(tmp_path: Path) -> None:
    write_catalog(tmp_path / "models.d", "whisper-hef", engine="hailo")
    store = Store(tmp_path / "store", catalog.load(tmp_path / "models.d"))
    place(store, "whisper-hef")
    assert Choice(store, "whisper-hef", engine=None).find().name == "whisper-hef"


def test_a_folder_of_another_engine(tmp_path: Path, store: Store) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "whisper-base.hef").write_text("x")
    assert "holds a model for a Hailo accelerator" in refused(choice(store, path=folder))
    place(store, "small")
    assert choice(store, path=folder, fallback=("small",)).find().fallback_for == "large"


def test_what_is_wrong_with_the_catalog_is_said_until_it_is_mended(tmp_path: Path) -> None:
    place(store_of(tmp_path, "small"), "small")
    folder, made = tmp_path / "models.d", []

    def choose() -> Choice:
        made.append(1)
        return choice(Store(tmp_path / "store", catalog.load(folder)), "small")

    find = Finder(folder, choose)
    (folder / "ctranslate2.yaml").rename(folder / "away")
    (folder / "bad.yaml").write_text("modles: []")
    for _ in range(2):
        with pytest.raises(Failure, match=r"bad\.yaml"):
            find()
    assert made == [1], "it is not read again before it changes"
    (folder / "bad.yaml").unlink()
    (folder / "away").rename(folder / "ctranslate2.yaml")
    assert find().name == find().name == "small"
    assert made == [1, 1]


def test_a_model_that_is_added_to_the_catalog_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "models.d"
    find = Finder(folder, lambda: choice(Store(tmp_path / "store", catalog.load(folder)), "small"))
    with pytest.raises(ModelUnusable, match="There is no model called 'small'"):
        find()
    place(store_of(tmp_path, "small"), "small")
    assert find().name == "small"

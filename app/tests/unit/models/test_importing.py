"""Importing: folders, models of somebody's own, OpenAI's checkpoints; and what is refused."""

import hashlib
import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import checkpoints
import ctranslate2
import pytest

from hailo_whisper.models import catalog, official
from hailo_whisper.models.catalog import Catalog, File
from hailo_whisper.models.checkpoint import CheckpointUnreadable
from hailo_whisper.models.foreign import ForeignUnusable
from hailo_whisper.models.importing import bring
from hailo_whisper.models.official import Official
from hailo_whisper.models.placement import PlacementFailed
from hailo_whisper.models.pull import pull
from hailo_whisper.models.removal import remove
from hailo_whisper.models.sources import FolderSource
from hailo_whisper.models.store import ModelUnusable, Store
from hailo_whisper.models.survey import ImportFailed, survey


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A model that somebody has trained, in CTranslate2's form."""
    folder = tmp_path / "my-whisper"
    folder.mkdir()
    (folder / "model.bin").write_bytes(b"mine" * 100)
    (folder / "config.json").write_text("{}")
    (folder / "tokenizer.json").write_text("{}")
    tokens = ["a", "<|en|>", "<|de|>", "<|yue|>", "<|0.00|>"]
    (folder / "vocabulary.json").write_text(json.dumps(tokens + [str(number) for number in range(51865 - len(tokens))]))
    return folder


def test_a_folder_is_known_by_its_files_and_not_by_its_name(store: Store, stick: Path) -> None:
    (found,) = survey(stick, store.catalog)
    assert (found.name, found.entry) == ("small", None)
    assert str(bring(found, store)) == f"imported small from folder:{stick}"
    store.verify("small")
    assert str(bring(found, store)) == "unchanged small"
    assert bring(found, store, force=True).changed
    assert [path.name for path in store.root.iterdir() if path.name != ".lock"] == ["small"]


def test_a_folder_of_models_is_a_store(store: Store, stick: Path, own: Path, tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    shutil.copytree(stick, shelf / "first")
    shutil.copytree(own, shelf / "second")
    (shelf / "notes.txt").write_text("hello")
    found = survey(shelf, store.catalog)
    assert [one.name for one in found] == ["small", "second"]
    for one in found:
        bring(one, store)
    assert [model.name for model in store.installed()] == ["small", "second"]
    assert [one.name for one in survey(shelf, store.catalog, name="second")] == ["second"]
    with pytest.raises(ImportFailed, match="has small, second by its files, and not third"):
        survey(shelf, store.catalog, name="third")


def test_a_model_of_ones_own_is_held_to_the_sums_that_it_has(store: Store, own: Path) -> None:
    (found,) = survey(own, store.catalog)
    bring(found, store)
    model = store.model("my-whisper")
    assert (model.family, model.engine, model.languages) == ("imported", "ctranslate2", ["en", "de", "yue"])
    assert list(model.files) == ["model.bin", "config.json", "tokenizer.json", "vocabulary.json"]
    store.verify("my-whisper")
    assert str(bring(found, store)) == "unchanged my-whisper"
    # The same place with other files is another model.
    (own / "model.bin").write_bytes(b"more" * 100)
    (changed,) = survey(own, store.catalog)
    assert bring(changed, store).changed
    path = store.root / "my-whisper" / "model.bin"
    path.write_bytes(b"evil" * 100)
    with pytest.raises(ModelUnusable, match="is damaged"):
        store.verify("my-whisper")


def test_a_pull_repairs_the_record_of_an_imported_model_and_keeps_its_entry(store: Store, own: Path) -> None:
    bring(survey(own, store.catalog)[0], store)
    os.utime(store.root / "my-whisper" / "model.bin")
    assert pull("my-whisper", store, []).change == "repaired"
    assert pull("my-whisper", store, []).change == "unchanged"
    assert [model.name for model in store.installed()] == ["my-whisper"]


def test_a_store_of_ours_is_a_folder_like_any(store: Store, own: Path, known: Catalog, tmp_path: Path) -> None:
    bring(survey(own, store.catalog)[0], store)
    other = Store(tmp_path / "other", known)
    (found,) = survey(store.root, known)
    bring(found, other)
    assert other.model("my-whisper").files == store.model("my-whisper").files


def test_a_model_with_fewer_tokens_is_english_only(store: Store, own: Path) -> None:
    (own / "vocabulary.json").unlink()
    (own / "vocabulary.txt").write_text("<|en|>\n<|de|>\n")
    (found,) = survey(own, store.catalog, name="ours")
    assert found.entry
    assert (found.name, found.entry.languages) == ("ours", ["en"])


def test_a_catalogs_name_is_only_for_its_files(store: Store, own: Path) -> None:
    with pytest.raises(ImportFailed, match=r"is not the catalog's small: its files have other sums.*--name"):
        survey(own, store.catalog, name="small")
    with pytest.raises(ImportFailed, match="is not the catalog's small"):
        survey(own.rename(own.parent / "small"), store.catalog)


def test_a_changed_byte_makes_another_model(store: Store, stick: Path, files: dict[str, bytes]) -> None:
    (stick / "model.bin").write_bytes(b"x" + files["model.bin"][1:])
    (stick / "vocabulary.txt").write_text("a\n")
    (found,) = survey(stick, store.catalog)
    assert found.name == "stick"
    assert found.entry


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / "vocabulary.json").unlink(), r"has no vocabulary\.json or vocabulary\.txt"),
        (lambda folder: (folder / "model.bin").write_bytes(b""), r"model\.bin is empty"),
        (lambda folder: (folder / "vocabulary.json").write_text("[1"), "is not a vocabulary"),
        (lambda folder: (folder / "vocabulary.json").write_bytes(b"\xff"), "is not a vocabulary"),
        (lambda folder: (folder / "vocabulary.json").write_text("5"), "is not a vocabulary"),
    ],
)
def test_a_broken_folder_is_refused(store: Store, own: Path, change: Callable[[Path], object], said: str) -> None:
    change(own)
    with pytest.raises(ForeignUnusable, match=said):
        survey(own, store.catalog)


@pytest.mark.parametrize("name", ["../evil", ".hidden", "a b"])
def test_a_name_that_is_none_is_refused(store: Store, own: Path, name: str) -> None:
    with pytest.raises(ForeignUnusable, match="cannot be the name of a model"):
        survey(own, store.catalog, name=name)


def test_what_is_nothing_is_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ImportFailed, match="There is no file or folder"):
        survey(tmp_path / "nothing", store.catalog)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImportFailed, match="has no model that is known here"):
        survey(tmp_path / "empty", store.catalog)
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(ImportFailed, match="neither a bundle nor a checkpoint that OpenAI published"):
        survey(tmp_path / "notes.txt", store.catalog)


def test_a_file_that_changes_between_the_look_and_the_copy_is_refused(store: Store, stick: Path, files: dict[str, bytes]) -> None:
    (found,) = survey(stick, store.catalog)
    (stick / "model.bin").write_bytes(b"x" + files["model.bin"][1:])
    with pytest.raises(ImportFailed, match=r"is not the model small: the sha256 of model\.bin.*get it again"):
        bring(found, store)
    (stick / "model.bin").unlink()
    with pytest.raises(ImportFailed, match="cannot be read: No such file"):
        bring(found, store)
    assert store.installed() == []
    assert not (store.root / ".partial").exists()


def test_a_place_without_rights_is_named(
    store: Store, stick: Path, as_nobody: Callable[[Callable[[], object], type[Exception]], str]
) -> None:
    store.root.mkdir()
    (found,) = survey(stick, store.catalog)
    if os.geteuid() == 0:
        assert "cannot be written by" in as_nobody(lambda: bring(found, store), PlacementFailed)


# OpenAI's checkpoints.


@pytest.fixture
def announce(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make a file known as one that OpenAI published."""
    known: list[Official] = []
    monkeypatch.setattr(official, "load", lambda: known)

    def announce(name: str, content: bytes, also: tuple[str, ...] = ()) -> None:
        known.append(Official(name=name, sha256=hashlib.sha256(content).hexdigest(), heads=[(0, 1)], also=list(also)))

    return announce


@pytest.fixture
def checkpoint(tmp_path: Path, announce: Callable[..., None]) -> Path:
    """A checkpoint as OpenAI's, of a model that says nothing sensible."""
    folder = tmp_path / "whisper"
    folder.mkdir()
    path = checkpoints.write(folder / "tiny.en.pt", *checkpoints.made_up())
    announce("tiny.en", path.read_bytes())
    return path


def test_a_checkpoint_is_converted_and_keeps_its_own_entry(store: Store, checkpoint: Path) -> None:
    (found,) = survey(checkpoint, store.catalog)
    assert str(bring(found, store)) == f"imported tiny.en from checkpoint:{checkpoint}"
    model = store.model("tiny.en")
    assert (model.engine, model.languages, model.licence) == ("ctranslate2", ["en"], "MIT")
    assert "converted here" in model.description
    store.verify("tiny.en")
    assert not ctranslate2.models.Whisper(str(store.path("tiny.en"))).is_multilingual
    assert str(bring(found, store)) == "unchanged tiny.en"
    # It is no hub's model: pulling leaves it alone.
    with pytest.raises(ModelUnusable):
        store.catalog.get("tiny.en")


def test_a_conversion_that_the_catalog_knows_is_the_catalogs_model(checkpoint: Path, store: Store, tmp_path: Path) -> None:
    bring(survey(checkpoint, store.catalog)[0], store)
    entry = store.model("tiny.en").model_copy(update={"description": "published", "memory_mb": 99})
    knowing = Store(tmp_path / "knowing", Catalog([entry]))
    bring(survey(checkpoint, knowing.catalog)[0], knowing)
    assert knowing.model("tiny.en") == entry
    assert "entry" not in json.loads((knowing.root / "tiny.en" / "manifest.json").read_text())
    # With another sum in the catalog the conversion is its own model, described as the catalog's is.
    other = entry.model_copy(update={"files": entry.files | {"model.bin": File(size=5, sha256="0" * 64)}})
    differing = Store(tmp_path / "differing", Catalog([other]))
    bring(survey(checkpoint, differing.catalog)[0], differing)
    assert (differing.model("tiny.en").description, differing.model("tiny.en").memory_mb) == ("published", 99)
    differing.verify("tiny.en")


def test_the_cache_of_openais_program_is_imported_whole(store: Store, checkpoint: Path, announce: Callable[..., None]) -> None:
    folder = checkpoint.parent
    multilingual = checkpoints.write(folder / "turbo.pt", *checkpoints.made_up(official.MULTILINGUAL_V3, mels=128))
    announce("large-v3-turbo", multilingual.read_bytes(), ("turbo",))
    (folder / "mine.pt").write_bytes(b"not OpenAI's")
    found = survey(folder, store.catalog)
    assert [one.name for one in found] == ["tiny.en", "large-v3-turbo"]
    for one in found:
        bring(one, store)
    assert "preprocessor_config.json" in store.model("large-v3-turbo").files
    assert store.model("large-v3-turbo").multilingual


def test_a_checkpoint_with_a_wrong_sum_is_refused(store: Store, checkpoint: Path) -> None:
    content = checkpoint.read_bytes()
    expected = hashlib.sha256(content).hexdigest()
    for wrong in (content[:-1], content[:1000] + b"x" + content[1001:], b"<!doctype html>"):
        checkpoint.write_bytes(wrong)
        actual = hashlib.sha256(wrong).hexdigest()
        with pytest.raises(
            ImportFailed, match=rf"is not the tiny\.en\.pt that OpenAI published: its sha256 is {actual} and must be {expected}"
        ):
            survey(checkpoint, store.catalog)


def test_a_checkpoint_that_is_not_what_its_name_says_is_refused(
    store: Store, checkpoint: Path, announce: Callable[..., None]
) -> None:
    announce("base", b"another")
    renamed = checkpoint.rename(checkpoint.with_name("base.pt"))
    with pytest.raises(ImportFailed, match=r"is not what its name says: by its sum it is OpenAI's tiny\.en\.pt"):
        survey(renamed, store.catalog)
    # A name that claims nothing is fine: the sum says what it is.
    (found,) = survey(renamed.rename(checkpoint.with_name("download.bin")), store.catalog)
    assert found.name == "tiny.en"


def test_a_malicious_checkpoint_is_never_run_even_if_its_sum_is_known(
    store: Store, announce: Callable[..., None], tmp_path: Path
) -> None:
    mark = tmp_path / "run"

    class Malicious:
        def __reduce__(self) -> Any:
            return (os.system, (f"touch {mark}",))

    path = checkpoints.write_zip(tmp_path / "tiny.pt", pickle.dumps({"dims": {}, "model_state_dict": Malicious()}, 2))
    with pytest.raises(ImportFailed, match="neither a bundle nor"):
        survey(path, store.catalog)
    announce("tiny", path.read_bytes())
    (found,) = survey(path, store.catalog)
    with pytest.raises(CheckpointUnreadable, match=r"wants to call posix\.system.*nothing of it was run"):
        bring(found, store)
    assert not mark.exists()
    assert store.installed() == []
    assert not (store.root / ".partial").exists()


def test_a_checkpoint_of_something_else_is_refused(store: Store, announce: Callable[..., None], tmp_path: Path) -> None:
    sizes, tensors = checkpoints.made_up()
    del tensors["decoder.ln.bias"]
    path = checkpoints.write(tmp_path / "tiny.pt", sizes, tensors)
    announce("tiny", path.read_bytes())
    with pytest.raises(ImportFailed, match=r"is not the checkpoint tiny: It lacks decoder\.ln\.bias"):
        bring(survey(path, store.catalog)[0], store)


def test_a_checkpoint_cannot_be_linked_to(store: Store, checkpoint: Path) -> None:
    with pytest.raises(ImportFailed, match="Leave --link out"):
        bring(survey(checkpoint, store.catalog)[0], store, link=True)


def test_the_packaged_sums_are_the_published_ones() -> None:
    """The address of each file has its sum; these are a few of those that OpenAI's program has in it."""
    sums = {checkpoint.name: checkpoint.sha256 for checkpoint in official.load()}
    assert sums["tiny"] == "65147644a518d12f04e32d6f3b26facc3f8dd46e5390956a9424a650c0ce22b9"
    assert sums["large-v3"] == "e5b1a55b89c1367dacf97e3e19bfd829a01529dbfdeefa8caeb59b3f1b81dadb"
    known = catalog.load()
    assert all(name in known for name in sums if name != "large-v1")


# Removing.


@pytest.mark.parametrize("state", ["whole", "broken", "a file", "a link"])
def test_a_model_is_removed_whatever_it_is(store: Store, stick: Path, state: str) -> None:
    pull("small", store, [FolderSource(stick)])
    place = store.root / "small"
    if state == "broken":
        (place / "model.bin").unlink()
    elif state in ("a file", "a link"):
        shutil.rmtree(place)
        place.write_bytes(b"") if state == "a file" else place.symlink_to(stick)
    assert remove("small", store)
    assert not os.path.lexists(place)
    assert not remove("small", store)
    assert [path.name for path in store.root.iterdir()] == [".lock"]
    assert (stick / "model.bin").exists()


def test_a_model_of_ones_own_is_removed_and_then_unknown(store: Store, own: Path) -> None:
    bring(survey(own, store.catalog)[0], store)
    assert remove("my-whisper", store)
    with pytest.raises(ModelUnusable, match="no model called 'my-whisper'"):
        remove("my-whisper", store)


def test_removing_without_rights_says_so(
    store: Store, stick: Path, as_nobody: Callable[[Callable[[], object], type[Exception]], str]
) -> None:
    pull("small", store, [FolderSource(stick)])
    store.root.chmod(0o755)
    if os.geteuid() == 0:
        assert "cannot be written by" in as_nobody(lambda: remove("small", store), PlacementFailed)
        store.verify("small")

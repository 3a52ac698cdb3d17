"""A hub's cache: models are found in it, linked to, and put into it so that huggingface_hub finds them."""

import shutil
import subprocess
from pathlib import Path

import pytest
from huggingface_hub import snapshot_download

from hailo_whisper.models import hub_cache
from hailo_whisper.models.catalog import Catalog, Hub, Model
from hailo_whisper.models.importing import bring, unreadable_to_others
from hailo_whisper.models.pull import foresee
from hailo_whisper.models.store import ModelUnusable, Store
from hailo_whisper.models.survey import ImportFailed, survey


@pytest.fixture
def model(known: Catalog) -> Model:
    return known.get("small")


@pytest.fixture
def hub(model: Model) -> Hub:
    assert model.sources.hub
    return model.sources.hub


@pytest.fixture
def cache(stick: Path, model: Model, hub: Hub, tmp_path: Path) -> Path:
    """HF_HOME, with the model in it."""
    copy = tmp_path / "copy"
    shutil.copytree(stick, copy)
    hub_cache.lay_out(tmp_path / "hf" / "hub", model, hub, copy)
    return tmp_path / "hf"


def test_huggingface_hub_finds_what_was_laid_out(cache: Path, hub: Hub, files: dict[str, bytes]) -> None:
    found = Path(snapshot_download(hub.repository, cache_dir=cache / "hub", local_files_only=True))
    assert found == cache / "hub" / "models--Owner--fake" / "snapshots" / hub.revision
    assert {path.name: path.read_bytes() for path in found.iterdir()} == files
    assert all(path.is_symlink() and not path.readlink().is_absolute() for path in found.iterdir())
    assert snapshot_download(hub.repository, revision=hub.revision, cache_dir=cache / "hub", local_files_only=True) == str(found)


def test_blobs_have_the_names_that_the_hub_gives_them(cache: Path, stick: Path) -> None:
    blobs = {path.name for path in (cache / "hub" / "models--Owner--fake" / "blobs").iterdir()}
    hashed = subprocess.run(["git", "hash-object", *stick.iterdir()], capture_output=True, text=True, timeout=30, check=True)
    assert blobs == set(hashed.stdout.split())


def test_large_files_are_called_by_their_sha256(
    stick: Path, model: Model, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_cache, "LARGE_BYTES", 1000)
    snapshot = hub_cache.lay_out(tmp_path / "hub", model, hub, stick)
    assert (snapshot / "model.bin").resolve().name == model.files["model.bin"].sha256


def test_laying_out_twice_changes_nothing(cache: Path, stick: Path, model: Model, hub: Hub) -> None:
    before = sorted(cache.rglob("*"))
    hub_cache.lay_out(cache / "hub", model, hub, stick)
    assert sorted(cache.rglob("*")) == before


def test_a_branch_gets_a_commit_that_is_found_by_its_name(
    stick: Path, model: Model, hub: Hub, files: dict[str, bytes], tmp_path: Path
) -> None:
    branch = hub.model_copy(update={"revision": "v1.0", "files": {"config.json": "deep/config.json"}})
    moved = model.model_copy(update={"sources": model.sources.model_copy(update={"hub": branch})})
    snapshot = hub_cache.lay_out(tmp_path / "hub", moved, branch, stick)
    found = snapshot_download(hub.repository, revision="v1.0", cache_dir=tmp_path / "hub", local_files_only=True)
    assert found == str(snapshot)
    assert (snapshot / "deep" / "config.json").read_bytes() == files["config.json"]
    assert hub_cache.find(hub_cache.snapshots(tmp_path / "hub"), moved)


@pytest.mark.parametrize(
    "place",
    ["", "hub", "hub/models--Owner--fake", "hub/models--Owner--fake/snapshots/{revision}"],
    ids=["home", "hub", "repo", "snapshot"],
)
@pytest.mark.parametrize("link", [False, True], ids=["copy", "link"])
def test_a_model_is_imported_from_any_part_of_the_cache(cache: Path, store: Store, hub: Hub, place: str, link: bool) -> None:
    (found,) = survey(cache / place.format(revision=hub.revision), store.catalog)
    assert found.name == "small"
    assert bring(found, store, link=link).changed
    store.verify("small")
    assert store.is_as_verified("small")
    assert (store.root / "small" / "model.bin").is_symlink() == link
    assert foresee("small", store) == "unchanged"
    assert not bring(found, store, link=link).changed


def test_a_linked_model_takes_no_room_and_leaves_the_cache_alone(cache: Path, store: Store) -> None:
    before = {path: path.lstat() for path in cache.rglob("*")}
    (found,) = survey(cache, store.catalog)
    bring(found, store, link=True)
    after = {path: path.lstat() for path in cache.rglob("*")}
    assert {path: (s.st_mode, s.st_mtime_ns, s.st_uid) for path, s in before.items()} == {
        path: (s.st_mode, s.st_mtime_ns, s.st_uid) for path, s in after.items()
    }
    place = (store.root / "small" / "model.bin").readlink()
    assert place.is_relative_to(cache)
    assert place.parent.name == "blobs"
    # What was linked to may go: then the model is broken, and said to be.
    shutil.rmtree(cache)
    with pytest.raises(ModelUnusable, match=r"half downloaded: .* is missing"):
        store.path("small")


def test_another_commit_of_main_is_taken_when_its_files_are_the_pinned_ones(cache: Path, store: Store, hub: Hub) -> None:
    repository = cache / "hub" / "models--Owner--fake"
    (repository / "snapshots" / hub.revision).rename(repository / "snapshots" / ("f" * 40))
    (found,) = survey(cache, store.catalog)
    assert bring(found, store).changed


def test_changed_bytes_in_a_cache_are_refused(cache: Path, store: Store, hub: Hub, files: dict[str, bytes]) -> None:
    path = cache / "hub" / "models--Owner--fake" / "snapshots" / hub.revision / "model.bin"
    path.write_bytes(b"x" + files["model.bin"][1:])
    (found,) = survey(cache, store.catalog)
    for link in (False, True):
        with pytest.raises(ImportFailed, match=r"is not the model small: the sha256 of model\.bin"):
            bring(found, store, link=link)
    assert store.installed() == []


def test_a_cache_without_a_whole_model_says_what_it_has(cache: Path, store: Store, hub: Hub) -> None:
    (cache / "hub" / "models--Owner--fake" / "snapshots" / hub.revision / "config.json").unlink()
    with pytest.raises(ImportFailed, match=r"no model of the catalog that is whole.* It has Owner/fake\."):
        survey(cache, store.catalog)


def test_a_place_that_the_service_cannot_read_is_found(cache: Path, tmp_path: Path) -> None:
    files = [path for path in cache.rglob("*") if path.is_symlink()]
    tops = [*tmp_path.parents, tmp_path]
    before = {top: top.stat().st_mode for top in tops}
    try:
        for top in tops:
            top.chmod(before[top] | 0o001)
        assert unreadable_to_others(files) is None
        (cache / "hub").chmod(0o700)
        assert unreadable_to_others(files) == cache / "hub"
        files[0].chmod(0o600)
        assert unreadable_to_others(files[:1]) == files[0].resolve()
    finally:
        for top in tops:
            top.chmod(before[top])

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hailo_whisper.models import hub_cache
from hailo_whisper.models.catalog import File, Sources
from hailo_whisper.models.pull import pull
from hailo_whisper.models.removal import remove
from hailo_whisper.models.sources import FolderSource
from hailo_whisper.models.store import ModelMissing, ModelUnusable, Store, write_manifest


@pytest.fixture
def filled(store: Store, stick: Path) -> Store:
    pull("small", store, [FolderSource(stick)])
    return store


def _flip(path: Path, keep_time: bool) -> None:
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + (0 if keep_time else 1)))


def test_a_complete_model_has_a_path_and_is_listed(filled: Store) -> None:
    assert filled.path("small") == filled.root / "small"
    filled.verify("small")
    (only,) = filled.installed()
    assert (only.name, only.path) == ("small", filled.root / "small")
    assert only.size == sum(file.stat().st_size for file in only.path.iterdir() if file.name != "manifest.json")
    assert (only.source or "").startswith("folder:")


def test_a_missing_model_names_the_command(store: Store) -> None:
    with pytest.raises(ModelMissing, match=r"small is not in .*store\. Run `hailo-whisper models pull small`\."):
        store.path("small")
    assert store.installed() == []


def test_the_cure_can_carry_the_users_own_folder(filled: Store) -> None:
    other = Store(filled.root / "none", filled.catalog, "hailo-whisper models pull {name} --dest /srv/models")
    with pytest.raises(ModelMissing, match="`hailo-whisper models pull small --dest /srv/models`"):
        other.check("small")


def test_an_unknown_name_is_not_looked_for(store: Store) -> None:
    with pytest.raises(ModelUnusable, match=r"no model called '\.\./small'\. Did you mean small\?"):
        store.path("../small")


def test_a_model_that_lacks_a_file_is_half_downloaded(filled: Store) -> None:
    (filled.root / "small" / "tokenizer.json").unlink()
    said = r"half downloaded: tokenizer\.json is missing\. Run `hailo-whisper models pull small`"
    with pytest.raises(ModelUnusable, match=said):
        filled.check("small")
    assert filled.installed() == []


def test_a_model_that_is_cut_short_is_half_downloaded(filled: Store) -> None:
    os.truncate(filled.root / "small" / "model.bin", 1000)
    with pytest.raises(ModelUnusable, match=r"half downloaded: model\.bin has 1000 of 10240 bytes"):
        filled.path("small")


def test_a_pipe_in_place_of_a_file_is_refused_and_not_opened(filled: Store) -> None:
    path = filled.root / "small" / "config.json"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ModelUnusable, match=r"config\.json is not a file"):
        filled.check("small")


def test_a_file_in_place_of_the_folder_is_refused(store: Store) -> None:
    store.root.mkdir()
    (store.root / "small").write_text("")
    with pytest.raises(ModelUnusable, match=r"is not a folder\. Remove it, then run"):
        store.check("small")


def test_a_changed_byte_is_noticed_when_the_model_is_asked_for(filled: Store) -> None:
    _flip(filled.root / "small" / "model.bin", keep_time=False)
    filled.check("small")
    with pytest.raises(ModelUnusable, match=r"damaged: the sha256 of model\.bin is .* and must be"):
        filled.path("small")


def test_a_byte_changed_behind_the_systems_back_is_found_by_verify(filled: Store) -> None:
    _flip(filled.root / "small" / "model.bin", keep_time=True)
    filled.path("small")
    with pytest.raises(ModelUnusable, match=r"damaged.*Run `hailo-whisper models pull small --force` to fetch it again"):
        filled.verify("small")


def test_a_model_without_its_record_is_usable_when_its_sums_are_right(filled: Store) -> None:
    (filled.root / "small" / "manifest.json").write_text("[not json")
    assert filled.path("small")
    assert filled.installed()[0].source is None


def test_who_may_not_read_the_store_is_told_so(
    filled: Store, as_nobody: Callable[[Callable[[], object], type[Exception]], str]
) -> None:
    filled.root.chmod(0o700)
    if os.geteuid():
        (filled.root / "small").chmod(0)
    said = as_nobody(lambda: filled.check("small"), ModelUnusable)
    assert "may not be read by this user" in said
    assert "sudo" in said


class TestCheckFolder:
    """Folders that the user names in `model.path` or WHISPER_MODEL_PATH."""

    def test_a_complete_folder_is_accepted(self, store: Store, stick: Path) -> None:
        store.check_folder(stick)

    def test_a_missing_folder_names_the_setting_and_the_command(self, store: Store, tmp_path: Path) -> None:
        said = r"none does not exist\. Set model\.path \(or WHISPER_MODEL_PATH\).*hailo-whisper models pull"
        with pytest.raises(ModelUnusable, match=said):
            store.check_folder(tmp_path / "none")

    def test_a_file_is_not_a_folder(self, store: Store, stick: Path) -> None:
        with pytest.raises(ModelUnusable, match="is not a folder"):
            store.check_folder(stick / "model.bin")

    @pytest.mark.parametrize("name", ["model.bin", "config.json", "tokenizer.json"])
    def test_a_file_that_is_missing_is_named(self, store: Store, stick: Path, name: str) -> None:
        (stick / name).unlink()
        with pytest.raises(ModelUnusable, match=rf"incomplete: {name} is missing"):
            store.check_folder(stick)

    def test_an_empty_file_is_named(self, store: Store, stick: Path) -> None:
        (stick / "model.bin").write_bytes(b"")
        with pytest.raises(ModelUnusable, match=r"model\.bin is empty"):
            store.check_folder(stick)

    def test_the_sizes_of_a_model_of_ours_are_known(self, filled: Store) -> None:
        os.truncate(filled.root / "small" / "model.bin", 1000)
        with pytest.raises(ModelUnusable, match=r"model\.bin has 1000 of 10240 bytes"):
            filled.check_folder(filled.root / "small")

    def test_the_sizes_of_a_folder_in_a_hubs_cache_are_known(self, store: Store, stick: Path, tmp_path: Path) -> None:
        hub = store.catalog.get("small").sources.hub
        assert hub
        snapshot = tmp_path / "models--Owner--fake" / "snapshots" / hub.revision
        snapshot.parent.mkdir(parents=True)
        stick.rename(snapshot)
        store.check_folder(snapshot)
        os.truncate(snapshot / "model.bin", 1000)
        with pytest.raises(ModelUnusable, match=r"model\.bin has 1000 of 10240 bytes"):
            store.check_folder(snapshot)


def test_an_imported_model_brings_its_own_entry(store: Store, files: dict[str, bytes]) -> None:
    entry = store.catalog.get("small").model_copy(update={"name": "ours"})
    folder = store.root / "ours"
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    with pytest.raises(ModelUnusable, match="no model called 'ours'"):
        store.check("ours")
    write_manifest(folder, entry, "ours.pt", own=True)
    assert store.path("ours") == folder
    assert [model.name for model in store.models()] == ["small", "ours"]
    assert [model.name for model in store.installed()] == ["ours"]
    store.check_folder(folder)
    (folder / "model.bin").write_bytes(b"cut")
    with pytest.raises(ModelUnusable, match=r"half downloaded: model\.bin has 3 of"):
        store.check("ours")
    with pytest.raises(ModelUnusable, match=r"incomplete: model\.bin has 3 of"):
        store.check_folder(folder)


def test_the_own_entry_of_a_model_goes_before_the_catalogs(store: Store, files: dict[str, bytes]) -> None:
    folder = store.root / "small"
    folder.mkdir(parents=True)
    (folder / "model.bin").write_bytes(b"another")
    entry = store.catalog.get("small").model_copy(update={"files": {"model.bin": File(size=7)}, "sources": Sources()})
    write_manifest(folder, entry, "ours.pt", own=True)
    store.verify("small")
    assert store.is_as_verified("small")
    assert len(store.models()) == 1
    (folder / "model.bin").write_bytes(b"anothes")
    with pytest.raises(ModelUnusable, match="damaged"):
        store.path("small")


@pytest.mark.parametrize("name", ["other", "../small", ".partial"])
def test_an_entry_of_another_name_than_its_folder_is_none(store: Store, files: dict[str, bytes], name: str) -> None:
    folder = store.root / "ours"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"entry": store.catalog.get("small").model_dump() | {"name": name}}))
    assert [model.name for model in store.models()] == ["small"]
    with pytest.raises(ModelUnusable, match="no model called"):
        store.check("ours")
    with pytest.raises(ModelUnusable, match="no model called"):
        store.check(f"../{store.root.name}/ours")


@pytest.fixture
def packaged(filled: Store, tmp_path: Path) -> Store:
    """A store without a model, beside a folder of packages that has one."""
    return Store(tmp_path / "empty", filled.catalog, packaged=filled.root)


def test_what_the_store_has_not_a_package_may_have(packaged: Store, filled: Store) -> None:
    assert packaged.path("small") == filled.root / "small"
    assert packaged.is_packaged("small")
    packaged.verify("small")
    assert [one.path for one in packaged.installed()] == [filled.root / "small"]
    assert packaged.places("small") == [packaged.root / "small", filled.root / "small"]
    assert not filled.is_packaged("small")


def test_a_package_s_model_is_neither_fetched_again_nor_touched_nor_removed(packaged: Store, filled: Store, stick: Path) -> None:
    model = filled.root / "small/model.bin"
    model.chmod(0o644)
    assert pull("small", packaged, []).change == "unchanged"
    assert model.stat().st_mode & 0o777 == 0o644
    with pytest.raises(ModelUnusable, match=r"is not the store's but a package's.*apt removes it"):
        remove("small", packaged)
    assert model.exists()
    # Who insists gets one of the store's own, which goes before it and can be removed.
    assert pull("small", packaged, [FolderSource(stick)], force=True).change == "pulled"
    assert not packaged.is_packaged("small")
    assert packaged.path("small") == packaged.root / "small"
    assert remove("small", packaged)
    assert packaged.is_packaged("small")


def test_a_damaged_package_is_told_and_a_pull_puts_a_good_one_before_it(packaged: Store, filled: Store, stick: Path) -> None:
    _flip(filled.root / "small/model.bin", keep_time=False)
    with pytest.raises(ModelUnusable, match="is damaged: the sha256 of model"):
        packaged.path("small")
    assert pull("small", packaged, [FolderSource(stick)]).change == "pulled"
    assert packaged.path("small") == packaged.root / "small"


def test_a_model_of_ones_own_may_be_a_package_s(packaged: Store, filled: Store) -> None:
    write_manifest(filled.root / "small", filled.model("small").model_copy(update={"name": "ours"}), "somewhere", own=True)
    (filled.root / "small").rename(filled.root / "ours")
    assert packaged.path("ours") == filled.root / "ours"
    assert "ours" in [model.name for model in packaged.models()]


@pytest.fixture
def cached(filled: Store, stick: Path, tmp_path: Path) -> Store:
    """An empty store beside a folder with the hub's cache, which has the model."""
    hub = filled.catalog.get("small").sources.hub
    assert hub
    shutil.copytree(stick, tmp_path / "cache/huggingface/hub/models--Owner--fake/snapshots" / hub.revision)
    return Store(tmp_path / "empty", filled.catalog, cache=tmp_path / "cache")


class TestACache:
    def test_what_nothing_else_has_it_may_have(self, cached: Store, tmp_path: Path) -> None:
        found = cached.path("small")
        assert found.parent.parent == tmp_path / "cache/huggingface/hub/models--Owner--fake"
        assert cached.is_cached("small")
        assert not cached.is_packaged("small")
        assert cached.places("small") == [cached.root / "small", found]

    @pytest.mark.parametrize("place", ["huggingface", "hub", ""])
    def test_the_folder_may_be_the_hub_s_own(self, cached: Store, tmp_path: Path, place: str) -> None:
        hub = tmp_path / "other" / place
        shutil.copytree(tmp_path / "cache/huggingface/hub", hub)
        assert Store(cached.root, cached.catalog, cache=tmp_path / "other").path("small").is_relative_to(hub)

    def test_it_may_lie_there_as_in_a_store(self, cached: Store, stick: Path, tmp_path: Path) -> None:
        shutil.copytree(stick, tmp_path / "other/small")
        assert Store(cached.root, cached.catalog, cache=tmp_path / "other").path("small") == tmp_path / "other/small"

    def test_what_lies_in_the_store_goes_first_be_it_broken(self, cached: Store) -> None:
        (cached.root / "small").mkdir(parents=True)
        with pytest.raises(ModelUnusable, match="half downloaded"):
            cached.path("small")
        assert not cached.is_cached("small")

    def test_a_model_that_is_cut_short_is_none(self, cached: Store) -> None:
        os.truncate(cached.folder("small") / "model.bin", 1000)
        with pytest.raises(
            ModelMissing, match=r"small is not in \S+empty, nor in the cache \S+cache\. Run `hailo-whisper models pull small`"
        ):
            cached.check("small")

    def test_another_model_of_the_same_size_is_not_served_by_that_name(self, cached: Store) -> None:
        _flip(cached.folder("small") / "model.bin", keep_time=True)
        with pytest.raises(ModelUnusable, match="is damaged: the sha256 of model"):
            cached.path("small")

    def test_its_bytes_are_read_once_until_they_change(self, cached: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        hashed: list[str] = []
        monkeypatch.setattr(Store, "verify", lambda _, name: hashed.append(name))
        folder = cached.path("small")
        cached.path("small")
        assert hashed == ["small"]
        _flip(folder / "model.bin", keep_time=False)
        cached.path("small")
        assert len(hashed) == 2

    @pytest.mark.parametrize(
        "closed", ["", "huggingface/hub/models--Owner--fake", "huggingface/hub/models--Owner--fake/snapshots"]
    )
    def test_one_that_may_not_be_read(
        self, cached: Store, tmp_path: Path, as_nobody: Callable[[Callable[[], object], type[Exception]], str], closed: str
    ) -> None:
        for folder in [tmp_path, *tmp_path.parents[:3]]:
            if folder.stat().st_uid == os.geteuid():
                folder.chmod(folder.stat().st_mode | 0o011)
        (tmp_path / "cache" / closed).chmod(0o700 if os.geteuid() == 0 else 0)
        said = as_nobody(lambda: cached.check("small"), ModelMissing)
        (tmp_path / "cache" / closed).chmod(0o755)
        assert f"small is not in {cached.root}. The cache {tmp_path}/cache may not be read by this user (number " in said

    def test_one_that_the_disk_does_not_give(self, cached: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(hub_cache, "held", fail)
        with pytest.raises(
            ModelMissing, match=r"The cache \S+ cannot be read: Input/output error\. Run `hailo-whisper models pull"
        ):
            cached.check("small")

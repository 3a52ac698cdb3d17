"""Models of which nobody knows the sums yet: the first pull pins them, and everything holds to that from then on."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from playing_hub import cut, page, playing, sends

from hailo_whisper.models import catalog
from hailo_whisper.models.pull import PullFailed, foresee, pull
from hailo_whisper.models.sources import FolderSource, HubSource, Patience, parse
from hailo_whisper.models.store import ModelUnusable, Store
from hailo_whisper.models.sums import sha256


@pytest.fixture
def store(family: dict[str, Any], tmp_path: Path) -> Store:
    """A store whose catalog knows neither size nor sum of the configuration, and no size of the weights."""
    entry = family["models"][0] | {"size_mb": 1, "aliases": ["little"]}
    entry["files"]["config.json"] = {}
    entry["files"]["tokenizer.json"].pop("size")
    entry["sources"].pop("wheels")
    folder = tmp_path / "unverified"
    folder.mkdir()
    (folder / "family.yaml").write_text(yaml.safe_dump(family | {"models": [entry]}))
    return Store(tmp_path / "store", catalog.load(folder))


def test_the_first_pull_pins_and_says_so(store: Store, stick: Path) -> None:
    lines: list[str] = []
    assert foresee("small", store) == "pulled"
    assert pull("small", store, [FolderSource(stick)], notify=lines.append).change == "pulled"
    assert any("nobody knows the sum of config.json" in line for line in lines)
    recorded = json.loads((store.root / "small" / "manifest.json").read_text())["files"]["config.json"]
    assert recorded["sha256"] == sha256(stick / "config.json")
    assert recorded["size"] == (stick / "config.json").stat().st_size
    assert not store.model("small").unverified
    store.verify("small")
    assert pull("small", store, []).change == "unchanged"


def test_a_changed_byte_is_found_all_the_same(store: Store, stick: Path) -> None:
    pull("small", store, [FolderSource(stick)])
    path = store.root / "small" / "config.json"
    path.write_bytes(path.read_bytes().replace(b"lang", b"LANG"))
    with pytest.raises(ModelUnusable, match=r"damaged: the sha256 of config\.json"):
        store.verify("small")


def test_a_later_pull_takes_nothing_else(store: Store, stick: Path) -> None:
    pull("small", store, [FolderSource(stick)])
    (stick / "config.json").write_bytes(b'{"lang_ids": [1]}')
    with pytest.raises(PullFailed, match=r"config\.json has 17 of 16 bytes"):
        pull("small", store, [FolderSource(stick)], force=True)
    (stick / "config.json").write_bytes(b'{"LANG_ids": []}')
    with pytest.raises(PullFailed, match=r"not the pinned model: the sha256 of config\.json"):
        pull("small", store, [FolderSource(stick)], force=True)
    store.verify("small")


def test_without_a_record_it_can_be_used_no_more(store: Store, stick: Path) -> None:
    pull("small", store, [FolderSource(stick)])
    (store.root / "small" / "manifest.json").unlink()
    with pytest.raises(ModelUnusable, match=r"cannot be verified: the catalog has no sum for config\.json, .* --force"):
        store.path("small")
    assert pull("small", store, [FolderSource(stick)]).change == "pulled"


def test_a_record_that_is_nonsense_pins_nothing(store: Store, stick: Path) -> None:
    pull("small", store, [FolderSource(stick)])
    manifest = store.root / "small" / "manifest.json"
    recorded = json.loads(manifest.read_text())
    recorded["files"]["config.json"]["sha256"] = "not a sum"
    manifest.write_text(json.dumps(recorded))
    assert store.model("small").unverified == ["config.json"]


def test_an_alias_leads_to_the_models_own_folder(store: Store, stick: Path) -> None:
    assert str(pull("little", store, [FolderSource(stick)])) == f"pulled small from folder:{stick}"
    assert store.path("little") == store.root / "small"
    assert str(pull("little", store, [])) == "unchanged small"
    store.verify("little")


def test_nothing_is_pinned_that_is_a_web_page(store: Store, files: dict[str, bytes]) -> None:
    with (
        playing(files, {"config.json": [page]}) as played,
        pytest.raises(PullFailed, match=r"config\.json: a web page came from 127\.0\.0\.1"),
    ):
        pull("small", store, [parse(f"mirror:{played.address}", Patience(tries=1))])
    assert not (store.root / "small").exists()


def test_a_hubs_own_sum_is_held_to(
    store: Store, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "none"))
    other = sends(files["config.json"], X_Linked_Etag=f'"{"0" * 64}"')
    with playing(files, {"config.json": [other]}) as played:
        monkeypatch.setenv("HF_ENDPOINT", played.address)
        with pytest.raises(PullFailed, match=r"config\.json has not the sha256 that the server itself gives"):
            pull("small", store, [HubSource(Patience(tries=1))])


def test_what_was_begun_with_another_source_is_verified_as_a_whole(store: Store, files: dict[str, bytes]) -> None:
    """A source that ends early with wrong bytes does not spoil what the next one brings."""
    liar = {"model.bin": b"\xff" * len(files["model.bin"])}
    with playing(files | liar, {"model.bin": [cut(5000)]}) as one, playing(files) as two:
        places = [parse(f"mirror:{each.address}", Patience(tries=1, pause=0.01)) for each in (one, two)]
        outcome = pull("small", store, places)
        assert outcome.source == f"mirror:{two.address}"
        assert [line.partition(" from ")[2] for line in two.asked_for("model.bin")] == ["5000", ""]
    store.verify("small")

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from hailo_whisper.models import catalog
from hailo_whisper.models.catalog import Catalog, CatalogInvalid
from hailo_whisper.models.unusable import ModelUnusable


def _load(family: object, folder: Path) -> Catalog:
    (folder / "family.yaml").write_text(yaml.safe_dump(family))
    return catalog.load(folder)


def test_the_packaged_catalog_has_the_first_models_with_their_sources() -> None:
    known = {model.name: model for model in catalog.load()}
    assert {"tiny.en", "base"} <= known.keys()
    for model in known.values():
        assert {"model.bin", "config.json", "tokenizer.json", "vocabulary.txt"} <= model.files.keys()
        assert model.sources.hub
        assert model.sources.wheels
    assert known["base"].multilingual
    assert not known["tiny.en"].multilingual


def test_norwegian_is_a_language_and_not_a_boolean() -> None:
    languages = catalog.load().get("base").languages
    assert "no" in languages
    assert len(set(languages)) == 99


def test_an_unknown_name_gets_the_nearest_and_all_names() -> None:
    with pytest.raises(ModelUnusable, match=r"'bsae'.* Did you mean base\? Known models: tiny.en, base"):
        catalog.load().get("bsae")


def test_a_name_unlike_any_gets_the_list_only() -> None:
    with pytest.raises(ModelUnusable) as caught:
        catalog.load().get("xyzzy")
    assert "Did you mean" not in str(caught.value)
    assert "Known models: tiny.en, base" in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (["models", 0, "licnece"], "MIT", "licnece"),
        (["models", 0, "name"], "../etc", "name"),
        (["models", 0, "name"], "--force", "name"),
        (["models", 0, "files", "model.bin", "sha256"], "abc", r"files\.model\.bin\.sha256"),
        (["models", 0, "files", "model.bin", "size"], 0, r"files\.model\.bin\.size"),
        (["models", 0, "files", "../model.bin"], {"size": 1, "sha256": "0" * 64}, "files"),
        (["models", 0, "files", "extra.txt"], {"size": 1, "sha256": "0" * 64}, "differ in extra.txt"),
        (["models", 0, "sources", "hub", "revision"], "main", "revision"),
        (["models", 0, "sources", "wheels", "packages", "more"], {"version": "1", "size": 1}, "differ in more"),
        (["schema_version"], 2, "schema_version"),
        (["models"], None, "models"),
    ],
)
def test_a_fault_in_a_data_file_is_named_with_its_place(
    family: dict[str, object], tmp_path: Path, path: list[str | int], value: object, said: str
) -> None:
    broken: Any = deepcopy(family)
    at = broken
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    with pytest.raises(CatalogInvalid, match=rf"family\.yaml.*{said}"):
        _load(broken, tmp_path)


def test_what_is_not_yaml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("models: [")
    with pytest.raises(CatalogInvalid, match=r"bad\.yaml cannot be read"):
        catalog.load(tmp_path)


def test_a_name_may_be_given_once(family: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "another.yaml").write_text(yaml.safe_dump(family))
    with pytest.raises(CatalogInvalid, match="small is already defined"):
        _load(family, tmp_path)

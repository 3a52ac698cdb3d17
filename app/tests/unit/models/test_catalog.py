import os
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from hailo_whisper.models import catalog
from hailo_whisper.models.catalog import Catalog, CatalogInvalid, File
from hailo_whisper.models.unusable import ModelUnusable


def _load(family: object, folder: Path) -> Catalog:
    (folder / "family.yaml").write_text(yaml.safe_dump(family))
    return catalog.load(folder)


WHISPER = [
    *["tiny", "tiny.en", "base", "base.en", "small", "small.en", "medium", "medium.en"],
    *["large-v2", "large-v3", "large-v3-turbo", "distil-large-v3"],
]


def test_the_packaged_catalog_has_the_models_that_are_promised() -> None:
    known = {model.name: model for model in catalog.load()}
    assert list(known)[:12] == WHISPER
    assert {"Whisper-Tiny", "Whisper-Base", "Whisper-Small"} <= known.keys()
    kinds = {name: model.kind for name, model in known.items() if model.kind != "stt"}
    speaking = {"kokoro-82m": "tts", "kokoro-82m-torch": "tts", "en_US-joe-medium": "tts"}
    assert kinds == speaking | {"multilingual-e5-small": "embeddings"}
    assert known["base"].multilingual
    assert not known["tiny.en"].multilingual
    for model in known.values():
        assert model.quality
        assert model.speed
        assert model.sources.hub or model.sources.https


@pytest.mark.parametrize("name", WHISPER)
def test_every_file_of_a_whisper_model_is_pinned(name: str) -> None:
    model = catalog.load().get(name)
    assert {"model.bin", "config.json", "tokenizer.json"} <= model.files.keys()
    assert {"vocabulary.txt", "vocabulary.json"} & model.files.keys()
    assert not model.unverified
    assert model.size == sum(file.size or 0 for file in model.files.values()) > 70_000_000
    assert model.sources.hub
    assert "revision" in (model.sources.hub.unverified or "")


def test_what_a_hef_needs_is_said_and_its_sum_is_not_known() -> None:
    model = catalog.load().get("whisper-small-int8")
    assert model.name == "Whisper-Small"
    assert model.requires
    assert (model.requires.hailort, model.requires.architecture) == ("5.2.0", ["hailo10h"])
    assert model.unverified == ["Whisper-Small.hef"]
    assert model.size == 388_000_000


@pytest.mark.parametrize(("alias", "name"), [("large", "large-v3"), ("turbo", "large-v3-turbo")])
def test_an_alias_names_a_model(alias: str, name: str) -> None:
    known = catalog.load()
    assert alias in known
    assert known.get(alias) is known.get(name)


def test_norwegian_is_a_language_and_not_a_boolean() -> None:
    languages = catalog.load().get("base").languages
    assert "no" in languages
    assert len(set(languages)) == 99


def test_an_unknown_name_gets_the_nearest_and_all_names() -> None:
    with pytest.raises(ModelUnusable, match=r"'bsae'.* Did you mean base\? Known models: tiny, tiny.en, base"):
        catalog.load().get("bsae")


def test_a_name_unlike_any_gets_the_list_only() -> None:
    with pytest.raises(ModelUnusable) as caught:
        catalog.load().get("xyzzy")
    assert "Did you mean" not in str(caught.value)
    assert "Known models: tiny, tiny.en, base" in str(caught.value)


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
        (["models", 0, "sources", "hub", "revision"], "main", "revision must be a commit of 40 hexadecimal digits"),
        (["models", 0, "sources", "hub", "revison"], "main", r"sources\.hub\.revison is an unknown key: did you mean revision\?"),
        (
            ["models", 0, "files", "model.bin", "sha265"],
            "x",
            r"files\.model\.bin\.sha265 is an unknown key: did you mean sha256\?",
        ),
        (["models", 0, "memory"], 1, r"models\.0 \(small\): memory is an unknown key: did you mean memory_mb\?"),
        (["models", 0, "xyzzy"], 1, "xyzzy is an unknown key: known are name, aliases, kind"),
        (["modles"], [], r"modles is an unknown key: did you mean models\?"),
        (["models", 0, "quality"], 6, "quality"),
        (["models", 0, "kind"], "song", "kind"),
        (["models", 0, "sources", "https"], {"model.bin": "https://host/a"}, "files and sources.https differ in config.json"),
        (["models", 0, "sources", "https"], {"model.bin": "file:///etc/passwd"}, r"sources\.https\.model\.bin"),
        (["models", 0, "sources", "hub", "files"], {"other": "a/other"}, "differ in other"),
        (["models", 0, "sources", "hub", "files"], {"model.bin": "../model.bin"}, r"sources\.hub\.files\.model\.bin"),
        (["models", 0, "files"], {"model.bin": {}}, "differ in|size_mb must say"),
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


def _entry(family: dict[str, object]) -> dict[str, Any]:
    entries: Any = deepcopy(family["models"])
    entry: dict[str, Any] = entries[0]
    return entry


def _extra(folder: Path, family: dict[str, object], *entries: dict[str, Any]) -> Path:
    extra = folder / "models.d"
    extra.mkdir(exist_ok=True)
    (extra / "mine.yaml").write_text(yaml.safe_dump(family | {"family": "mine", "models": list(entries)}))
    return extra


class TestExtra:
    """The folder of the operator's own models."""

    def test_a_model_is_added_and_another_replaced(self, family: dict[str, object], tmp_path: Path) -> None:
        packaged = tmp_path / "packaged"
        packaged.mkdir()
        (packaged / "family.yaml").write_text(yaml.safe_dump(family))
        mine, other = _entry(family) | {"description": "Mine."}, _entry(family) | {"name": "other", "aliases": ["another"]}
        known = catalog.load(packaged, _extra(tmp_path, family, mine, other))
        assert [model.name for model in known] == ["small", "other"]
        assert known.get("small").description == "Mine."
        assert known.get("another").family == "mine"

    def test_a_folder_that_is_not_there_adds_nothing(self, tmp_path: Path) -> None:
        assert [model.name for model in catalog.load(extra=tmp_path / "none")] == [model.name for model in catalog.load()]

    def test_a_folder_that_may_not_be_read_is_said(
        self, tmp_path: Path, as_nobody: Callable[[Callable[[], object], type[Exception]], str]
    ) -> None:
        tmp_path.chmod(0o755)
        extra = tmp_path / "models.d"
        extra.mkdir(mode=0o700 if os.geteuid() == 0 else 0)
        said = as_nobody(lambda: catalog.load(tmp_path, extra), CatalogInvalid)
        assert "cannot be read: Permission denied. Mend its owner and mode" in said

    def test_a_mistake_in_it_is_named(self, family: dict[str, object], tmp_path: Path) -> None:
        with pytest.raises(
            CatalogInvalid, match=r"models\.d/mine\.yaml breaks the schema: models\.0 \(small\): licnece is an unknown"
        ):
            catalog.load(extra=_extra(tmp_path, family, _entry(family) | {"licnece": "MIT"}))

    def test_two_models_may_not_share_an_alias(self, family: dict[str, object], tmp_path: Path) -> None:
        one, two = (_entry(family) | {"name": name, "aliases": ["same"]} for name in ("one", "two"))
        with pytest.raises(CatalogInvalid, match="same is an alias of one and of two"):
            catalog.load(extra=_extra(tmp_path, family, one, two))

    def test_an_alias_may_not_be_a_name_beside_it(self, family: dict[str, object], tmp_path: Path) -> None:
        one, two = _entry(family) | {"name": "one", "aliases": ["two"]}, _entry(family) | {"name": "two"}
        with pytest.raises(CatalogInvalid, match="two is the name of a model and an alias of one"):
            catalog.load(extra=_extra(tmp_path, family, one, two))

    def test_a_name_goes_before_a_packaged_alias(self, family: dict[str, object], tmp_path: Path) -> None:
        known = catalog.load(extra=_extra(tmp_path, family, _entry(family) | {"name": "turbo"}))
        assert known.get("turbo").family == "mine"


def test_a_revision_may_be_a_branch_when_it_is_said_to_be_unverified(family: dict[str, object], tmp_path: Path) -> None:
    entry = _entry(family)
    entry["sources"]["hub"] |= {"revision": "main", "unverified": "Nobody has looked."}
    hub = _load(family | {"models": [entry]}, tmp_path).get("small").sources.hub
    assert hub
    assert hub.revision == "main"


def test_a_pin_fills_in_what_nobody_knew(family: dict[str, object], tmp_path: Path) -> None:
    entry = _entry(family)
    entry["files"]["config.json"] = {}
    model = _load(family | {"models": [entry | {"size_mb": 1}]}, tmp_path).get("small")
    assert (model.unverified, model.size) == (["config.json"], 1_000_000)
    seen = {name: File(size=16, sha256="f" * 64) for name in model.files}
    pinned = model.pinned(seen)
    assert pinned.files["config.json"] == seen["config.json"]
    assert pinned.files["model.bin"] == model.files["model.bin"]
    assert not pinned.unverified


DOCS = Path(__file__).parents[4] / "docs" / "models.md"


def test_the_manual_names_every_model() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert [model.name for model in catalog.load() if f"`{model.name}`" not in text] == []


def test_the_example_in_the_manual_is_sound(tmp_path: Path) -> None:
    example = DOCS.read_text(encoding="utf-8").partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "ours.yaml").write_text(example, encoding="utf-8")
    model = catalog.load(extra=tmp_path).get("ours")
    assert model.unverified == ["config.json", "tokenizer.json", "vocabulary.txt"]
    assert model.size > 480_000_000

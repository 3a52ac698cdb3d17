"""Where a model's HEFs are: in the store, where hailo-apps keeps them, or where their owner says; and which of its forms is taken."""

import errno
from pathlib import Path

import pytest
from rights import unprivileged

from hailo_whisper.models import catalog, hefs
from hailo_whisper.models.store import Store, write_manifest
from hailo_whisper.models.unusable import ModelMissing, ModelUnusable

HEF = b"\x01HEF"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def resources(tmp_path: Path) -> Path:
    return tmp_path / "resources"


def _made(path: Path, data: bytes = HEF) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def _pulled(store: Store, name: str) -> Path:
    """A model of the catalog, as a pull leaves it."""
    model = store.catalog.get(name)
    for file in model.files:
        _made(store.root / name / file)
    write_manifest(store.root / name, model, "https")
    return store.root / name


def _kept_pair(resources: Path, architecture: str = "h8", size: str = "base") -> Path:
    """A pair as hailo-apps' own download lays it out."""
    folder = resources / "hefs" / architecture / size
    _made(folder / f"{size}-whisper-encoder-5s.hef")
    _made(folder / f"{size}-whisper-decoder-fixed-sequence.hef")
    _made(resources / "decoder_assets" / size / "decoder_tokenization" / f"token_embedding_weight_{size}.npy")
    return folder


class TestForms:
    @pytest.mark.parametrize(
        ("architecture", "expected"),
        [
            ("hailo10h", [("genai", "hailo10h"), ("pair", "hailo10h")]),
            ("hailo8", [("pair", "hailo8"), ("pair", "hailo8l")]),
            ("hailo8l", [("pair", "hailo8l")]),
            ("hailo8-family", [("pair", "hailo8l"), ("pair", "hailo8")]),
        ],
    )
    def test_by_what_the_device_is(self, architecture: str, expected: list[tuple[str, str]]) -> None:
        assert list(hefs.forms(architecture)) == expected
        assert list(hefs.forms(architecture, genai=False)) == [form for form in expected if form[0] == "pair"]

    def test_of_one_that_nobody_knows_all(self) -> None:
        assert {form for known in hefs.FORMS.values() for form in known} == set(hefs.forms(None))
        assert hefs.forms("hailo99") == hefs.forms(None)

    def test_what_the_catalog_has_is_looked_for(self, store: Store, resources: Path) -> None:
        sizes = ("tiny", "tiny.en", "base", "small")
        looked = {place.stored for size in sizes for place in hefs.places(size, resources)}
        published = {model.name for model in store.catalog if model.engine == hefs.ENGINE}
        assert published <= looked


@pytest.mark.parametrize("name", ["base", "whisper-base", "Whisper-Base"])
class TestByName:
    def test_where_hailo_apps_keeps_it(self, store: Store, resources: Path, name: str) -> None:
        kept = _made(resources / "models" / "hailo10h" / "Whisper-Base.hef")
        assert hefs.find(name, None, store, resources) == hefs.Network("genai", kept, (kept,))

    def test_one_that_was_pulled_comes_first(self, store: Store, resources: Path, name: str) -> None:
        _made(resources / "models" / "hailo10h" / "Whisper-Base.hef")
        folder = _pulled(store, "Whisper-Base")
        found = hefs.find(name, None, store, resources, "hailo10h")
        assert (found.path, found.stored) == (folder / "Whisper-Base.hef", "Whisper-Base")

    def test_a_pair_where_it_must_be_one(self, store: Store, resources: Path, name: str) -> None:
        _pulled(store, "Whisper-Base")
        folder = _pulled(store, "whisper-base-hailo10h")
        found = hefs.find(name, None, store, resources, "hailo10h", genai=False)
        encoder, decoder = folder / "base-whisper-encoder-10s.hef", folder / "base-whisper-decoder-10s-out-seq-64.hef"
        embedding = folder / "token_embedding_weight_base.npy"
        assert found == hefs.Network("pair", folder, (encoder, decoder), embedding, "whisper-base-hailo10h")
        assert hefs.find(name, None, store, resources, "hailo10h").kind == "genai"

    def test_a_pair_where_hailo_apps_keeps_it(self, store: Store, resources: Path, name: str) -> None:
        _pulled(store, "Whisper-Base")
        folder = _kept_pair(resources)
        found = hefs.find(name, None, store, resources, "hailo8-family")
        assert (found.kind, found.path, found.stored) == ("pair", folder, None)
        assert [hef.parent for hef in found.hefs] == [folder] * 2
        assert found.embedding
        assert found.embedding.is_relative_to(resources / "decoder_assets" / "base")

    def test_what_runs_on_both_comes_first_where_nobody_knows_which_it_is(self, store: Store, resources: Path, name: str) -> None:
        one, both = _kept_pair(resources), _kept_pair(resources, "h8l")
        assert hefs.find(name, None, store, resources, "hailo8-family").path == both
        assert hefs.find(name, None, store, resources, "hailo8").path == one
        assert hefs.find(name, None, store, resources, "hailo8l").path == both


def test_a_name_that_says_the_device(store: Store, resources: Path) -> None:
    _kept_pair(resources, "h8l")
    folder = _kept_pair(resources)
    assert hefs.find("whisper-base-hailo8", None, store, resources, "hailo8-family").path == folder
    with pytest.raises(ModelMissing, match=r"no form of the model whisper-base-hailo8 for hailo10h\. Name another"):
        hefs.find("whisper-base-hailo8", None, store, resources, "hailo10h")


def test_a_name_that_never_was_is_resolved_and_told_of(store: Store, resources: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = _made(resources / "models" / "hailo10h" / "Whisper-Small.hef")
    assert hefs.find("whisper-small-int8", None, store, resources).path == kept
    assert "there is no model whisper-small-int8 for the Hailo NPU: Whisper-Small is taken" in caplog.text
    caplog.clear()
    assert hefs.find("small", None, store, resources).path == kept
    assert not caplog.text


def test_one_of_ones_own_in_the_store_comes_first(store: Store, resources: Path) -> None:
    _made(resources / "models" / "hailo10h" / "Whisper-Base.hef")
    own = _made(store.root / "base" / "my.hef")
    assert hefs.find("base", None, store, resources).path == own


def test_a_model_of_the_administrators_own_catalog(tmp_path: Path, resources: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "ours.yaml").write_text(
        "{schema_version: 1, family: ours, engine: hailo, models: [{name: ours, description: Ours., licence: none, languages: [de], "
        "memory_mb: 1, size_mb: 1, files: {ours.hef: {}}, sources: {https: {ours.hef: 'https://models.example/ours.hef'}}}]}"
    )
    store = Store(tmp_path / "store", catalog.load(extra=tmp_path / "own"))
    with pytest.raises(ModelMissing, match=r"no HEF of the model ours .*models pull ours"):
        hefs.find("ours", None, store, resources)
    folder = _pulled(store, "ours")
    assert hefs.find("ours", None, store, resources).path == folder / "ours.hef"


def test_one_that_is_not_what_was_pulled_is_not_passed_over(store: Store, resources: Path) -> None:
    _made(resources / "models" / "hailo10h" / "Whisper-Base.hef")
    folder = _pulled(store, "Whisper-Base")
    (folder / "Whisper-Base.hef").write_bytes(b"\x01HEG")
    with pytest.raises(ModelUnusable, match=r"Whisper-Base in .* is damaged: .*models pull Whisper-Base --force"):
        hefs.find("base", None, store, resources)


class TestByPath:
    def test_a_file_or_its_folder(self, store: Store, tmp_path: Path) -> None:
        path = _made(tmp_path / "own" / "my.hef")
        assert hefs.find("base", str(path), store, tmp_path).path == path
        assert hefs.find("base", str(path.parent), store, tmp_path).path == path
        with pytest.raises(ModelMissing, match="does not exist"):
            hefs.find("base", str(tmp_path / "none.hef"), store, tmp_path)

    def test_a_pair_and_its_vectors(self, store: Store, tmp_path: Path) -> None:
        folder = tmp_path / "own"
        encoder, decoder = _made(folder / "my-Encoder.hef"), _made(folder / "my-decoder.hef")
        with pytest.raises(ModelMissing, match=r"lacks the tokens' vectors, token_embedding_weight_NAME\.npy"):
            hefs.find("base", str(folder), store, tmp_path)
        embedding = _made(folder / "token_embedding_weight_base.npy")
        found = hefs.find("base", str(folder), store, tmp_path)
        assert found == hefs.Network("pair", folder, (encoder, decoder), embedding)

    @pytest.mark.parametrize("names", [["a.hef", "b.hef"], ["encoder.hef"], ["encoder.hef", "encoder-2.hef"], []])
    def test_anything_else(self, store: Store, tmp_path: Path, names: list[str]) -> None:
        folder = tmp_path / "own"
        folder.mkdir()
        for name in names:
            _made(folder / name)
        with pytest.raises(ModelUnusable, match=rf"it has {', '.join(sorted(names)) or 'none'}\. Set model\.path"):
            hefs.find("base", str(folder), store, tmp_path)


def test_none(store: Store, resources: Path) -> None:
    with pytest.raises(
        ModelMissing,
        match=r"no HEF of the model base for the Hailo NPU: neither in .*Whisper-Base\.hef.*models pull Whisper-Base",
    ):
        hefs.find("base", None, store, resources)
    with pytest.raises(ModelMissing, match=r"for the Hailo-8 or 8L: .*hefs/h8l/base.*models pull whisper-base-hailo8l"):
        hefs.find("base", None, store, resources, "hailo8-family")
    with pytest.raises(ModelMissing, match=r"genai API is not installed.*models pull whisper-base-hailo10h"):
        hefs.find("base", None, store, resources, "hailo10h", genai=False)
    with pytest.raises(ModelMissing, match="Fetch it with hailo-apps"):
        hefs.find("medium", None, store, resources)


def test_what_this_user_may_not_see_is_told_with_a_cure(store: Store, resources: Path) -> None:
    with unprivileged(store.root):
        with pytest.raises(ModelUnusable, match=r"may not be read by this user .*\. Run the command as root"):
            hefs.find("base", None, store, resources)
        with pytest.raises(ModelUnusable, match="Run the command as root"):
            hefs.at(store.root / "base" / "a.hef")


def test_a_disk_that_fails_is_told_with_a_cure(store: Store, resources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Path) -> bool:
        raise OSError(errno.EIO, "Input/output error", "/models/base")

    monkeypatch.setattr(Path, "is_dir", fail)
    with pytest.raises(ModelUnusable, match=r"/models/base cannot be read: Input/output error\. See whether the disk is well"):
        hefs.find("base", None, store, resources)

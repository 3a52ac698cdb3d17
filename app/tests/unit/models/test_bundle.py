"""Bundles: what is exported comes back, and everything else is refused before anything is written."""

import base64
import io
import json
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nacl.signing import SigningKey

from hailo_whisper.models import bundle
from hailo_whisper.models.bundle import BundleRefused
from hailo_whisper.models.catalog import Catalog, Sources
from hailo_whisper.models.exporting import ExportFailed, export
from hailo_whisper.models.importing import bring
from hailo_whisper.models.pull import PullFailed, pull
from hailo_whisper.models.signature import Trust, public_key
from hailo_whisper.models.sources import FolderSource, NotOffered, parse
from hailo_whisper.models.sources.bundle import BundleSource
from hailo_whisper.models.store import ModelUnusable, Store, write_manifest
from hailo_whisper.models.sums import seen
from hailo_whisper.models.survey import ImportFailed, survey

Change = Callable[[list[tarfile.TarInfo], dict[str, bytes]], None]


@pytest.fixture
def filled(store: Store, stick: Path) -> Store:
    pull("small", store, [FolderSource(stick)])
    return store


@pytest.fixture
def packed(filled: Store, tmp_path: Path) -> Path:
    export(["small"], filled, tmp_path / "models.tar")
    return tmp_path / "models.tar"


@pytest.fixture
def other(known: Catalog, tmp_path: Path) -> Store:
    """The store of the machine without a network."""
    return Store(tmp_path / "other", known)


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Trust]:
    """A secret key of minisign, and the trust in its public one."""
    public, secret = tmp_path / "our.pub", tmp_path / "our.key"
    subprocess.run(["minisign", "-G", "-W", "-p", public, "-s", secret], check=True, capture_output=True, timeout=30)
    return secret, Trust((public_key(public.read_text()),), required=True)


def _rewrite(path: Path, change: Change) -> Path:
    """The bundle with other members: `change` gets their headers, in order, and their bytes."""
    with tarfile.open(path) as archive:
        members = archive.getmembers()
        contents = {member.name: stream.read() for member in members if (stream := archive.extractfile(member))}
    change(members, contents)
    changed = path.with_name("changed.tar")
    with tarfile.open(changed, "w:") as archive:
        for member in members:
            content = contents.get(member.name, b"")
            archive.addfile(member, io.BytesIO(content) if member.isreg() else None)
    return changed


def _member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def test_what_is_exported_comes_back(filled: Store, packed: Path, other: Store) -> None:
    with tarfile.open(packed, "r:") as archive:
        names = archive.getnames()
    assert names == ["manifest.json", "small/model.bin", "small/config.json", "small/tokenizer.json"]
    (found,) = survey(packed, other.catalog)
    assert str(bring(found, other)) == f"imported small from bundle:{packed}"
    other.verify("small")
    assert other.installed()[0].source == f"bundle:{packed}"
    assert str(bring(found, other)) == "unchanged small"
    assert not list(packed.parent.glob(".*.part"))


def test_the_same_models_make_the_same_bundle(filled: Store, packed: Path, tmp_path: Path) -> None:
    export(["small"], filled, tmp_path / "again.tar")
    assert (tmp_path / "again.tar").read_bytes() == packed.read_bytes()


def test_pull_takes_a_bundle_for_a_source(packed: Path, other: Store) -> None:
    source = parse(f"bundle:{packed}")
    assert source.name == f"bundle:{packed}"
    assert str(pull("small", other, [source])) == f"pulled small from bundle:{packed}"
    other.verify("small")


def test_a_source_has_the_models_of_its_bundle_only(packed: Path, other: Store, tmp_path: Path) -> None:
    absent = other.catalog.get("small").model_copy(update={"name": "large"})
    with pytest.raises(NotOffered, match="it has small, and not large"):
        BundleSource(packed).fetch(absent, tmp_path, tmp_path, None)  # type: ignore[arg-type]


def test_a_model_of_ones_own_comes_with_its_entry(filled: Store, other: Store, tmp_path: Path) -> None:
    entry = filled.catalog.get("small").model_copy(update={"name": "ours", "sources": Sources()})
    folder = filled.root / "ours"
    (filled.root / "small").rename(folder)
    write_manifest(folder, entry, "test", own=True)
    export(["ours"], filled, tmp_path / "ours.tar")
    (found,) = survey(tmp_path / "ours.tar", other.catalog)
    bring(found, other)
    assert [model.name for model in other.installed()] == ["ours"]
    other.verify("ours")
    assert str(bring(found, other)) == "unchanged ours"


def test_another_model_under_a_name_of_the_catalog_must_be_signed(
    filled: Store, other: Store, keys: tuple[Path, Trust], tmp_path: Path
) -> None:
    folder = filled.root / "small"
    (folder / "model.bin").write_bytes(b"another")
    entry = filled.catalog.get("small").model_copy(
        update={"files": {"model.bin": seen(folder / "model.bin")}, "sources": Sources()}
    )
    write_manifest(folder, entry, "test", own=True)
    export(["small"], filled, tmp_path / "plain.tar")
    for trust in (Trust(), Trust(keys[1].keys)):
        with pytest.raises(
            ImportFailed, match="brings a small with other files than the catalog's, and nobody who is trusted here"
        ):
            survey(tmp_path / "plain.tar", other.catalog, trust=trust)
    export(["small"], filled, tmp_path / "signed.tar", secret_key=keys[0])
    with pytest.raises(ImportFailed, match="nobody who is trusted here has signed it"):
        survey(tmp_path / "signed.tar", other.catalog)
    (found,) = survey(tmp_path / "signed.tar", other.catalog, trust=keys[1])
    assert bring(found, other).changed
    assert other.model("small").files == entry.files
    # Nor does a folder get a name of the catalog by what its record says.
    (folder / "vocabulary.txt").write_text("a\n")
    with pytest.raises(ImportFailed, match="is not the catalog's small"):
        survey(folder, other.catalog)


def test_a_damaged_model_is_not_exported(filled: Store, tmp_path: Path) -> None:
    path = filled.root / "small" / "model.bin"
    path.write_bytes(b"x" + path.read_bytes()[1:])
    with pytest.raises(ModelUnusable, match="is damaged"):
        export(["small"], filled, tmp_path / "models.tar")
    assert not list(tmp_path.glob("*.tar"))


def test_a_place_that_cannot_be_written_is_named(filled: Store, tmp_path: Path) -> None:
    with pytest.raises(ExportFailed, match=r"cannot be written: No such file.*It takes 16 MB"):
        export(["small"], filled, tmp_path / "nowhere" / "models.tar")


# What a bundle must not be.


def _no_manifest(members: list[tarfile.TarInfo], contents: dict[str, bytes]) -> None:
    members.pop(0)


def _manifest_last(members: list[tarfile.TarInfo], contents: dict[str, bytes]) -> None:
    members.append(members.pop(0))


def _outside(members: list[tarfile.TarInfo], contents: dict[str, bytes]) -> None:
    contents["small/../../evil"] = b"x"
    members.append(_member("small/../../evil"))


def _absolute(members: list[tarfile.TarInfo], contents: dict[str, bytes]) -> None:
    members.insert(1, _member("/etc/evil"))


def _link(members: list[tarfile.TarInfo], contents: dict[str, bytes]) -> None:
    members[1] = _member("small/model.bin", tarfile.SYMTYPE, "/etc/passwd")


def _hard_link(members: list[tarfile.TarInfo], contents: dict[str, bytes]) -> None:
    members[1] = _member("small/model.bin", tarfile.LNKTYPE, "manifest.json")


def _device(members: list[tarfile.TarInfo], contents: dict[str, bytes]) -> None:
    members[1] = _member("small/model.bin", tarfile.CHRTYPE)


def _pipe(members: list[tarfile.TarInfo], contents: dict[str, bytes]) -> None:
    members[1] = _member("small/model.bin", tarfile.FIFOTYPE)


def _folder(members: list[tarfile.TarInfo], contents: dict[str, bytes]) -> None:
    members.insert(1, _member("small", tarfile.DIRTYPE))


def _too_many(members: list[tarfile.TarInfo], contents: dict[str, bytes]) -> None:
    members.append(_member("small/more.bin"))


def _twice(members: list[tarfile.TarInfo], contents: dict[str, bytes]) -> None:
    members.append(members[-1])


def _too_few(members: list[tarfile.TarInfo], contents: dict[str, bytes]) -> None:
    members.pop()


def _swapped(members: list[tarfile.TarInfo], contents: dict[str, bytes]) -> None:
    members[1], members[2] = members[2], members[1]


def _longer(members: list[tarfile.TarInfo], contents: dict[str, bytes]) -> None:
    contents["small/config.json"] += b"\n"
    members[2].size += 1


def _renamed(members: list[tarfile.TarInfo], contents: dict[str, bytes]) -> None:
    members[1].pax_headers = {"comment": "hello"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_no_manifest, "does not begin with manifest.json"),
        (_manifest_last, "does not begin with manifest.json"),
        (_outside, r"small/\.\./\.\./evil leads out of its folder"),
        (_absolute, "/etc/evil leads out of its folder"),
        (_link, "small/model.bin is a link"),
        (_hard_link, "small/model.bin is a link"),
        (_device, "small/model.bin is not a plain file"),
        (_pipe, "small/model.bin is not a plain file"),
        (_folder, "small is not a plain file"),
        (_too_many, "small/more.bin is not in its manifest"),
        (_twice, "small/tokenizer.json is not in its manifest"),
        (_too_few, "small/tokenizer.json is missing"),
        (_swapped, "small/config.json is not in its manifest, or not in this place, where small/model.bin is due"),
        (_longer, "small/config.json has [0-9]+ bytes, and by its manifest [0-9]+"),
        (_renamed, "small/model.bin is not a plain file"),
    ],
)
def test_a_bundle_with_anything_else_in_it_is_refused(packed: Path, other: Store, change: Change, said: str) -> None:
    changed = _rewrite(packed, change)
    with pytest.raises(BundleRefused, match=rf"changed\.tar is refused: .*{said}.*Nothing of it was taken"):
        bundle.read(changed, Trust())
    with pytest.raises(PullFailed, match=said):
        pull("small", other, [BundleSource(changed)])
    assert other.installed() == []
    assert not (other.root.parent / "evil").exists()


def test_one_changed_byte_is_found(packed: Path, other: Store) -> None:
    def change(members: list[tarfile.TarInfo], contents: dict[str, bytes]) -> None:
        content = contents["small/model.bin"]
        contents["small/model.bin"] = content[:500] + bytes([content[500] ^ 1]) + content[501:]

    changed = _rewrite(packed, change)
    (found,) = survey(changed, other.catalog)
    with pytest.raises(Exception, match=r"is not the model small: the sha256 of model\.bin is .* Nothing of it was taken"):
        bring(found, other)
    assert other.installed() == []
    with pytest.raises(PullFailed, match=r"the sha256 of model\.bin"):
        pull("small", other, [BundleSource(changed)])


@pytest.mark.parametrize("cut", [0.0, 0.3, 0.9])
def test_a_bundle_that_ends_early_is_refused(packed: Path, other: Store, cut: float) -> None:
    content = packed.read_bytes().rstrip(b"\0")
    packed.write_bytes(content[: int(len(content) * cut)])
    with pytest.raises(BundleRefused, match=r"is refused"):
        bundle.read(packed, Trust())


def test_a_packed_bundle_and_a_page_are_refused(packed: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "packed.tar", "w:gz") as archive:
        archive.add(packed, "manifest.json")
    (tmp_path / "page.tar").write_text("<!doctype html>" * 100)
    for name in ("packed.tar", "page.tar"):
        with pytest.raises(BundleRefused, match="no plain tar file"):
            bundle.read(tmp_path / name, Trust())
        assert not bundle.is_bundle(tmp_path / name)
    with pytest.raises(BundleRefused, match="cannot be read: No such file"):
        bundle.read(tmp_path / "nothing.tar", Trust())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda manifest: manifest.update(schema_version=2), "schema_version"),
        (lambda manifest: manifest.update(models=[]), "models"),
        (lambda manifest: manifest.update(more=1), "more"),
        (lambda manifest: manifest["models"].append(manifest["models"][0]), "each model may be in it once"),
        (lambda manifest: manifest["models"][0]["entry"].update(name="../evil"), "name"),
        (
            lambda manifest: manifest["models"][0]["entry"]["files"]["model.bin"].pop("sha256"),
            "must all have a size and a sha256",
        ),
        (lambda manifest: manifest["models"][0]["entry"]["files"].update({"../evil": {"size": 1}}), "files"),
    ],
)
def test_a_manifest_that_breaks_the_schema_is_refused(packed: Path, change: Callable[[Any], None], said: str) -> None:
    def rewrite(members: list[tarfile.TarInfo], contents: dict[str, bytes]) -> None:
        manifest = json.loads(contents["manifest.json"])
        change(manifest)
        contents["manifest.json"] = json.dumps(manifest).encode()
        members[0].size = len(contents["manifest.json"])

    with pytest.raises(BundleRefused, match=rf"manifest breaks the schema .*{said}"):
        bundle.read(_rewrite(packed, rewrite), Trust())


def test_a_huge_manifest_is_refused(packed: Path) -> None:
    def change(members: list[tarfile.TarInfo], contents: dict[str, bytes]) -> None:
        contents["manifest.json"] = b" " * (bundle.LARGEST_MANIFEST + 1)
        members[0].size = len(contents["manifest.json"])

    with pytest.raises(BundleRefused, match=r"its manifest\.json has 4000001 bytes"):
        bundle.read(_rewrite(packed, change), Trust())


# Signatures.


def test_a_signed_bundle_is_taken_and_its_comment_told(filled: Store, keys: tuple[Path, Trust], tmp_path: Path) -> None:
    secret, trust = keys
    export(["small"], filled, tmp_path / "signed.tar", secret_key=secret)
    assert bundle.read(tmp_path / "signed.tar", trust).comment == "hailo-whisper bundle: small"
    # Whoever has no keys takes it by its sums.
    read = bundle.read(tmp_path / "signed.tar", Trust())
    assert (read.signed, read.comment) == (True, None)


def test_an_unsigned_bundle_is_refused_where_signatures_are_required(
    packed: Path, other: Store, keys: tuple[Path, Trust]
) -> None:
    with pytest.raises(BundleRefused, match=r"it is not signed, and models\.require_signature asks for a signature"):
        survey(packed, other.catalog, trust=keys[1])
    with pytest.raises(PullFailed, match="it is not signed"):
        pull("small", other, [parse(f"bundle:{packed}", None, keys[1])])
    assert other.installed() == []
    assert bundle.read(packed, Trust(keys[1].keys)).signed is False


def test_a_bundle_signed_by_somebody_else_is_refused(filled: Store, keys: tuple[Path, Trust], tmp_path: Path) -> None:
    export(["small"], filled, tmp_path / "signed.tar", secret_key=keys[0])
    stranger = public_key(base64.b64encode(b"Ed" + bytes(8) + SigningKey(bytes(32)).verify_key.encode()).decode())
    for trust in (Trust((stranger,)), Trust((stranger,), required=True), Trust((), required=True)):
        with pytest.raises(BundleRefused, match="which is not trusted here"):
            bundle.read(tmp_path / "signed.tar", trust)


def test_a_manifest_that_was_changed_after_it_was_signed_is_refused(
    filled: Store, keys: tuple[Path, Trust], tmp_path: Path
) -> None:
    export(["small"], filled, tmp_path / "signed.tar", secret_key=keys[0])

    def change(members: list[tarfile.TarInfo], contents: dict[str, bytes]) -> None:
        contents["manifest.json"] = contents["manifest.json"].replace(b"for tests", b"for fools")

    with pytest.raises(BundleRefused, match="changed after it was signed"):
        bundle.read(_rewrite(tmp_path / "signed.tar", change), keys[1])

    def spoil(members: list[tarfile.TarInfo], contents: dict[str, bytes]) -> None:
        contents["manifest.json.minisig"] = b"\xff" * members[1].size

    with pytest.raises(BundleRefused, match="not one of minisign"):
        bundle.read(_rewrite(tmp_path / "signed.tar", spoil), keys[1])


def test_a_key_that_cannot_sign_is_told_of(filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "signed.tar"
    with pytest.raises(ExportFailed, match=r"There is no secret key .*minisign -G"):
        export(["small"], filled, target, secret_key=tmp_path / "none.key")
    (tmp_path / "bad.key").write_text("untrusted comment: no\nkey\n")
    with pytest.raises(ExportFailed, match="minisign could not sign with"):
        export(["small"], filled, target, secret_key=tmp_path / "bad.key")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ExportFailed, match="apt install minisign"):
        export(["small"], filled, target, secret_key=tmp_path / "bad.key")
    assert not target.exists()

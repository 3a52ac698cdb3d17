"""`hailo-whisper models import`, `export`, `remove` and `pull --hub-cache`, as an operator calls them."""

import json
import subprocess
from pathlib import Path

import pytest
from models_command import FILES, run, write_family, write_stick

from hailo_whisper.failure import Failure
from hailo_whisper.models import catalog
from hailo_whisper.models.bundle import BundleRefused
from hailo_whisper.models.unusable import ModelUnusable

REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    return write_stick(tmp_path / "stick")


@pytest.fixture(autouse=True)
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalog with a model, on a hub, and one that is on none."""
    hub = {"hub": {"repository": "Owner/fake", "revision": REVISION}}
    other = {"files": {"voice.onnx": {"size": 5, "sha256": "0" * 64}}, "kind": "tts"}
    write_family(tmp_path / "models.d", {"name": "one", "aliases": ["uno"], "sources": hub}, {"name": "voice"} | other)
    packaged = catalog.load
    monkeypatch.setattr(catalog, "load", lambda **_: packaged(tmp_path / "models.d"))


def _out(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_a_model_goes_from_one_machine_to_another_in_a_file(
    stick: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here, there, bundle = tmp_path / "here", tmp_path / "there", tmp_path / "models.tar"
    assert run("import", stick, "--check", "--dest", here) == 0
    assert _out(capsys) == ["would import one"]
    assert not here.exists()
    assert run("import", stick, "--dest", here) == 0
    assert _out(capsys) == [f"imported one from folder:{stick}"]
    assert run("import", stick, "--check", "--dest", here) == 0
    assert _out(capsys) == ["unchanged one"]
    assert run("export", "uno", "one", "--to", bundle, "--dest", here) == 0
    assert _out(capsys) == [f"exported one to {bundle}"]
    assert run("import", bundle, "--dest", there) == 0
    assert _out(capsys) == [f"imported one from bundle:{bundle}"]
    assert run("verify", "--dest", there) == 0
    assert _out(capsys) == ["ok one"]
    assert run("path", "uno", "--dest", there) == 0
    assert _out(capsys) == [str(there / "one")]


def test_signatures_are_asked_for_by_the_settings(
    stick: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, signed, dest = tmp_path / "plain.tar", tmp_path / "signed.tar", tmp_path / "there"
    public, secret = tmp_path / "our.pub", tmp_path / "our.key"
    subprocess.run(["minisign", "-G", "-W", "-p", public, "-s", secret], check=True, capture_output=True, timeout=30)
    run("import", stick, "--dest", tmp_path / "here")
    run("export", "one", "--to", bundle, "--dest", tmp_path / "here")
    run("export", "one", "--to", signed, "--sign", secret, "--dest", tmp_path / "here")
    assert run("import", signed, "--check", "--dest", dest) == 0
    assert "models.signing_keys has no key to check that with" in capsys.readouterr().err
    monkeypatch.setenv("HAILO_WHISPER_MODELS_SIGNING_KEYS", json.dumps([public.read_text().splitlines()[1]]))
    monkeypatch.setenv("HAILO_WHISPER_MODELS_REQUIRE_SIGNATURE", "true")
    with pytest.raises(BundleRefused, match="it is not signed"):
        run("import", bundle, "--dest", dest)
    assert run("pull", "one", "--source", f"bundle:{bundle}", "--dest", dest) == 1
    assert "it is not signed" in capsys.readouterr().err
    assert not (dest / "one").exists()
    assert run("import", signed, "--dest", dest) == 0
    said = capsys.readouterr()
    assert said.out == f"imported one from bundle:{signed}\n"
    assert "is signed by a key that is trusted here: hailo-whisper bundle: one" in said.err
    monkeypatch.setenv("HAILO_WHISPER_MODELS_SIGNING_KEYS", '["nonsense"]')
    with pytest.raises(Failure, match="'nonsense' is not a public key of minisign"):
        run("import", signed, "--dest", dest)


def test_a_model_of_ones_own_is_listed_with_the_others(stick: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (stick / "model.bin").write_bytes(b"trained" * 100)
    (stick / "vocabulary.txt").write_text("a\n")
    assert run("import", stick, "--name", "ours", "--dest", tmp_path / "store") == 0
    assert _out(capsys) == [f"imported ours from folder:{stick}"]
    run("list", "--json", "--dest", tmp_path / "store")
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["models"]}
    assert {name: row["state"] for name, row in rows.items()} == {"one": "available", "voice": "available", "ours": "installed"}
    assert (rows["ours"]["own"], rows["ours"]["source"]) == (True, f"folder:{stick}")
    assert (rows["one"]["own"], rows["one"]["aliases"], rows["one"]["path"]) == (False, ["uno"], None)
    assert rows["voice"]["kind"] == "tts"
    assert run("remove", "ours", "--dest", tmp_path / "store") == 0
    assert _out(capsys) == ["removed ours"]


def test_one_that_cannot_be_imported_does_not_keep_the_next_from_coming(
    stick: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "hf" / "hub"
    assert run("pull", "one", "--source", f"folder:{stick}", "--hub-cache", cache) == 0
    snapshot = cache / "models--Owner--fake" / "snapshots" / REVISION
    (snapshot / "model.bin").resolve().write_bytes(b"W" * 700)
    assert run("import", cache.parent, "--dest", tmp_path / "store") == 1
    assert "is not the model one: the sha256 of model.bin" in capsys.readouterr().err


def test_a_hubs_cache_is_filled_once_and_linked_to(stick: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache, store = tmp_path / "hf" / "hub", tmp_path / "store"
    pull = ("pull", "one", "--source", f"folder:{stick}", "--hub-cache", cache)
    assert run(*pull, "--check") == 0
    assert _out(capsys) == ["would pull one"]
    assert not cache.exists()
    assert run(*pull) == 0
    assert _out(capsys) == [f"pulled one from folder:{stick}"]
    for more, line in (((), "unchanged one"), (("--check",), "unchanged one"), (("--force",), f"pulled one from folder:{stick}")):
        assert run(*pull, *more) == 0
        assert _out(capsys) == [line]
    assert [path.name for path in cache.iterdir()] == ["models--Owner--fake"]
    (tmp_path / "hf").chmod(0o700)
    assert run("import", tmp_path / "hf", "--link", "--dest", store) == 0
    said = capsys.readouterr()
    assert said.out == f"imported one from cache:{tmp_path / 'hf'}\n"
    assert "may not be read by everybody" in said.err
    assert (store / "one" / "model.bin").is_symlink()
    assert run("pull", "one", "--check", "--dest", store) == 0
    assert _out(capsys) == ["unchanged one"]
    assert run("remove", "one", "--dest", store) == 0
    assert (cache / "models--Owner--fake" / "snapshots" / REVISION / "model.bin").read_bytes() == FILES["model.bin"]


def test_a_model_without_a_repository_has_no_place_in_a_hubs_cache(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("pull", "voice", "--hub-cache", tmp_path / "hub") == 1
    assert "voice is in no repository of a hub" in capsys.readouterr().err


def test_a_pull_into_a_cache_that_fails_leaves_none_behind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("pull", "one", "--source", f"folder:{tmp_path / 'nothing'}", "--hub-cache", tmp_path / "hub") == 1
    assert "could not be fetched from any source" in capsys.readouterr().err
    assert not (tmp_path / "hub" / "models--Owner--fake").exists()


def test_remove_says_what_it_did(stick: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = tmp_path / "store"
    run("import", stick, "--dest", store)
    _out(capsys)
    assert run("remove", "one", "voice", "--check", "--dest", store) == 0
    assert _out(capsys) == ["would remove one", "unchanged voice"]
    assert (store / "one").exists()
    with pytest.raises(ModelUnusable, match="Did you mean voice"):
        run("remove", "one", "voise", "--dest", store)
    assert (store / "one").exists()
    assert run("remove", "one", "voice", "one", "--dest", store) == 0
    assert _out(capsys) == ["removed one", "unchanged voice"]
    assert not (store / "one").exists()


def test_removing_the_configured_model_is_said(
    stick: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HAILO_WHISPER_STORAGE_MODELS", str(tmp_path / "store"))
    monkeypatch.setenv("HAILO_WHISPER_MODEL_NAME", "one")
    run("import", stick)
    assert run("remove", "one") == 0
    assert "one is the model of the configuration (model.name)" in capsys.readouterr().err


def test_what_cannot_be_imported_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="There is no file or folder"):
        run("import", tmp_path / "nothing", "--dest", tmp_path / "store")
    with pytest.raises(ModelUnusable, match=r"The model one is not in .*models pull one"):
        run("export", "one", "--to", tmp_path / "models.tar", "--dest", tmp_path / "store")
    assert not (tmp_path / "store").exists()

import json
from pathlib import Path

import pytest
from models_command import FILES, run, write_family, write_stick

from hailo_whisper.failure import Failure
from hailo_whisper.models import catalog
from hailo_whisper.models.unusable import ModelUnusable


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    return write_stick(tmp_path / "stick")


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    return tmp_path / "my models"


@pytest.fixture(autouse=True)
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalog with two models of the same files."""
    loaded = catalog.load(write_family(tmp_path / "catalog", {"name": "one"}, {"name": "two"}))
    monkeypatch.setattr(catalog, "load", lambda **_: loaded)


def _out(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_pull_prints_one_line_a_model(dest: Path, stick: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pull = ("pull", "one", "two", "--source", f"folder:{stick}", "--dest", dest)
    assert run(*pull, "--check") == 0
    assert _out(capsys) == ["would pull one", "would pull two"]
    assert not dest.exists()
    assert run(*pull) == 0
    assert _out(capsys) == [f"pulled one from folder:{stick}", f"pulled two from folder:{stick}"]
    assert run(*pull) == 0
    assert _out(capsys) == ["unchanged one", "unchanged two"]
    (dest / "two" / "model.bin").chmod(0o600)
    assert run(*pull, "--check") == 0
    assert _out(capsys) == ["unchanged one", "would repair two"]
    assert run(*pull, "--force", "--check") == 0
    assert _out(capsys) == ["would pull one", "would pull two"]


def test_a_model_that_fails_does_not_keep_the_next_from_coming(
    dest: Path, stick: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf = dest.parent / "shelf"
    shelf.mkdir()
    stick.rename(shelf / "two")
    assert run("pull", "one", "two", "--source", "hub", "--source", f"folder:{shelf}", "--dest", dest) == 1
    said = capsys.readouterr()
    assert said.out.splitlines() == [f"pulled two from folder:{shelf}"]
    assert "one could not be fetched from any source" in said.err
    assert "hub: the catalog knows no hub repository for one" in said.err
    assert f"folder:{shelf}: {shelf} has no model.bin" in said.err


def test_a_misspelt_name_is_refused_before_anything_is_fetched(dest: Path, stick: Path) -> None:
    with pytest.raises(ModelUnusable, match="Did you mean two"):
        run("pull", "one", "twoo", "--source", f"folder:{stick}", "--dest", dest)
    assert not dest.exists()


def test_a_misspelt_source_is_refused(dest: Path) -> None:
    with pytest.raises(Failure, match="Use hub, https, wheels, hailo-apps, folder:"):
        run("pull", "one", "--source", "weels", "--dest", dest)


def test_list_says_what_is_here(dest: Path, stick: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("pull", "one", "two", "--source", f"folder:{stick}", "--dest", dest)
    (dest / "two" / "model.bin").write_bytes(b"half")
    _out(capsys)
    assert run("list", "--json", "--dest", dest) == 0
    listed = json.loads(capsys.readouterr().out)
    one, two = listed["models"]
    assert listed["store"] == str(dest)
    assert (one["name"], one["state"], one["path"], one["reason"]) == ("one", "installed", str(dest / "one"), None)
    assert (one["size"], one["memory_mb"], one["engine"]) == (704, 1, "ctranslate2")
    assert two["state"] == "unusable"
    assert f"Run `hailo-whisper models pull two --dest '{dest}'`" in two["reason"]
    assert run("list", "--dest", dest) == 0
    said = capsys.readouterr()
    rows = [line.split()[:3] for line in said.out.splitlines()]
    assert rows == [["NAME", "KIND", "STATE"], ["one", "stt", "installed"], ["two", "stt", "unusable"]]
    assert "half downloaded" in said.err


def test_list_works_where_nothing_has_been_pulled(dest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list", "--json", "--dest", dest) == 0
    assert [row["state"] for row in json.loads(capsys.readouterr().out)["models"]] == ["available", "available"]


def test_verify_finds_a_changed_byte_and_checks_the_rest(dest: Path, stick: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("pull", "one", "two", "--source", f"folder:{stick}", "--dest", dest)
    _out(capsys)
    assert run("verify", "--dest", dest) == 0
    assert _out(capsys) == ["ok one", "ok two"]
    (dest / "one" / "model.bin").write_bytes(b"W" + FILES["model.bin"][1:])
    assert run("verify", "--dest", dest) == 1
    said = capsys.readouterr()
    assert said.out.splitlines() == ["ok two"]
    assert "The model one in" in said.err
    assert "is damaged: the sha256 of model.bin" in said.err
    assert run("verify", "two", "--dest", dest) == 0


def test_verify_of_nothing_is_a_failure(dest: Path) -> None:
    with pytest.raises(ModelUnusable, match=r"no model in .* to verify"):
        run("verify", "--dest", dest)


def test_path_prints_the_folder_or_the_cure(dest: Path, stick: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelUnusable, match="Run `hailo-whisper models pull one --dest"):
        run("path", "one", "--dest", dest)
    run("pull", "one", "--source", f"folder:{stick}", "--dest", dest)
    _out(capsys)
    assert run("path", "one", "--dest", dest) == 0
    assert _out(capsys) == [str(dest / "one")]


def test_path_without_a_name_is_that_of_the_configured_model(
    dest: Path, stick: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"XDG_CONFIG_HOME": dest, "XDG_CONFIG_DIRS": dest, "HAILO_WHISPER_STORAGE_MODELS": dest}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("HAILO_WHISPER_MODEL_NAME", "two")
    with pytest.raises(ModelUnusable, match="Run `hailo-whisper models pull two`"):
        run("path")
    run("pull", "two", "--source", f"folder:{stick}")
    _out(capsys)
    assert run("path") == 0
    assert _out(capsys) == [str(dest / "two")]


def test_path_without_a_name_is_the_configured_folder(
    dest: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(dest))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(dest))
    monkeypatch.setenv("HAILO_WHISPER_MODEL_PATH", str(dest / "mine"))
    with pytest.raises(ModelUnusable, match="mine does not exist"):
        run("path")
    (dest / "mine").mkdir(parents=True)
    for name, data in FILES.items():
        (dest / "mine" / name).write_bytes(data)
    assert run("path") == 0
    assert _out(capsys) == [str(dest / "mine")]


def test_without_dest_the_store_is_the_configured_one(
    dest: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(dest.parent))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(dest.parent))
    monkeypatch.setenv("HAILO_WHISPER_STORAGE_MODELS", str(dest))
    assert run("list", "--json") == 0
    assert json.loads(capsys.readouterr().out)["store"] == str(dest)
    with pytest.raises(ModelUnusable, match="Run `hailo-whisper models pull one`"):
        run("path", "one")

"""Keys that come and go while everything else in the file stays as it was."""

import fcntl
import multiprocessing
import os
import stat
from pathlib import Path

import pytest

from hailo_whisper.keys import file, writing
from hailo_whisper.keys.file import KeysUnusable
from hailo_whisper.keys.writing import KeyRefused


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hailo" / "some.keys"


def names(path: Path) -> list[str]:
    return [key.name for key in writing.names(path)]


def test_the_first_key_makes_the_file_which_only_its_owner_reads(path: Path) -> None:
    key = writing.add(path, "kitchen")
    assert key.startswith("sk-")
    assert len(key) == 46
    assert key not in path.read_text()
    assert path.read_text().startswith("# The API keys of hailo-whisper")
    assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0
    (kept,) = writing.names(path)
    assert (kept.name, kept.digest, kept.hashed) == ("kitchen", file.digest(key), True)
    assert [child.name for child in path.parent.iterdir()] == ["some.keys"], "nothing else is left behind"


def test_a_plain_key_can_be_read_in_the_file(path: Path) -> None:
    key = writing.add(path, "kitchen", plain=True)
    assert f"kitchen:{key}\n" in path.read_text()


def test_keys_differ(path: Path) -> None:
    assert len({writing.generate() for _ in range(100)}) == 100


def test_what_else_is_in_the_file_stays(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("# mine\nold:sk-old\n\n# last, without an end")
    path.chmod(0o640)
    writing.add(path, "new")
    assert writing.remove(path, "old") == 1
    lines = path.read_text().splitlines()
    assert lines[:3] == ["# mine", "", "# last, without an end"]
    assert lines[3].startswith("new:sha256:")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_link_stays_one(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to(tmp_path / "real")
    (tmp_path / "real").touch(0o600)
    writing.add(path, "kitchen")
    assert path.is_symlink()
    assert names(tmp_path / "real") == ["kitchen"]


def test_a_name_that_there_is(path: Path) -> None:
    writing.add(path, "kitchen")
    before = path.read_bytes()
    with pytest.raises(KeyRefused, match=r"has a key kitchen already. Choose another name, or remove that one first."):
        writing.add(path, "kitchen")
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["", "two words", "a:b", "#a", "../a", "a\n", "ü", "a" * 65])
def test_a_name_that_cannot_be_one(path: Path, name: str) -> None:
    with pytest.raises(KeyRefused, match="cannot be a key's name"):
        writing.add(path, name)
    assert not path.exists()


def test_a_name_that_there_is_not(path: Path) -> None:
    writing.add(path, "kitchen")
    with pytest.raises(KeyRefused, match=f"{path} has no key cellar. It has: kitchen."):
        writing.remove(path, "cellar")


def test_who_holds_the_folder_is_not_waited_for_for_ever(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.parent.mkdir(exist_ok=True)
    monkeypatch.setattr(writing, "PATIENCE", 0.2)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_SH)
        with pytest.raises(KeyRefused, match=f"Another process has held {path.parent} for 0.2 s. `fuser "):
            writing.add(path, "kitchen")
    finally:
        os.close(folder)
    writing.add(path, "kitchen")


def test_a_file_that_is_broken_is_not_made_worse(path: Path) -> None:
    path.parent.mkdir()
    path.touch(0o600)
    path.write_text("kitchen\n")
    for change in (writing.add, writing.remove):
        with pytest.raises(KeysUnusable, match="Line 1 of the key file"):
            change(path, "kitchen")
    assert path.read_text() == "kitchen\n"


def test_a_file_that_strangers_can_read_gets_no_key(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    path.chmod(0o644)
    with pytest.raises(KeysUnusable, match="Run `chmod o= "):
        writing.add(path, "kitchen")


def test_a_full_file(path: Path) -> None:
    path.parent.mkdir()
    path.touch(0o600)
    path.write_text("#" * (file.LARGEST - 10))
    with pytest.raises(KeysUnusable, match="would have more than 256 KiB"):
        writing.add(path, "kitchen")


def test_a_disk_that_cannot_be_written_keeps_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writing.add(path, "kitchen")
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(KeyRefused, match=r"cannot be written: No space left on device. Run this as root, with room on the disk."):
        writing.add(path, "cellar")
    assert path.read_bytes() == before
    assert [child.name for child in path.parent.iterdir()] == ["some.keys"]


def test_two_at_once_lose_no_key(path: Path) -> None:
    writing.add(path, "first")
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=writing.add, args=(path, f"key-{number}")) for number in range(6)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert sorted(names(path)) == ["first", *(f"key-{number}" for number in range(6))]


@pytest.mark.parametrize(("text", "missing"), [(None, True), ("", True), ("# none\n", True), ("a:b\n", False)])
def test_whether_a_first_key_is_missing(path: Path, text: str | None, missing: bool) -> None:
    path.parent.mkdir()
    if text is not None:
        path.touch(0o600)
        path.write_text(text)
    assert writing.missing(path) is missing

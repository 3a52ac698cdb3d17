import errno
import fcntl
import grp
import os
import shutil
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from hailo_whisper.models import placement
from hailo_whisper.models.placement import PlacementFailed, Staging, adopt, locked, require_space, writing


def _quiet(line: str) -> None:
    del line


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _hold(root: Path) -> int:
    root.mkdir(exist_ok=True)
    lock = os.open(root / ".lock", os.O_RDWR | os.O_CREAT)
    os.write(lock, b"4711\n")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def test_a_model_appears_whole_with_its_modes(tmp_path: Path) -> None:
    root = tmp_path / "a" / "store"
    with locked(root, _quiet), Staging(root, "small") as staging:
        (staging.files / "model.bin").write_bytes(b"x")
        (staging.work / "scratch").write_bytes(b"y")
        assert not (root / "small").exists()
        assert staging.place() == root / "small"
    assert sorted(path.name for path in root.iterdir()) == [".lock", "small"]
    assert [path.name for path in (root / "small").iterdir()] == ["model.bin"]
    assert (_mode(root), _mode(root / "small"), _mode(root / "small" / "model.bin")) == (0o750, 0o750, 0o640)
    assert _mode(root / ".lock") == 0o640


def test_a_folder_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with locked(tmp_path, _quiet):
        pass
    assert _mode(tmp_path) == 0o755


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_gives_the_files_to_the_services_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "GROUP", grp.getgrgid(65534).gr_name)
    path = tmp_path / "model.bin"
    path.write_bytes(b"x")
    os.chown(path, 65534, 0)
    assert adopt(path, pretend=True)
    assert path.stat().st_uid == 65534
    assert adopt(path)
    assert (path.stat().st_uid, path.stat().st_gid, _mode(path)) == (0, 65534, 0o640)
    assert not adopt(path)


def test_a_model_is_replaced_by_renames(tmp_path: Path) -> None:
    for content in (b"old", b"new"):
        with locked(tmp_path, _quiet), Staging(tmp_path, "small") as staging:
            (staging.files / "model.bin").write_bytes(content)
            staging.place()
    assert (tmp_path / "small" / "model.bin").read_bytes() == b"new"
    assert not (tmp_path / ".partial").exists()


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    def attempt() -> None:
        with locked(tmp_path, _quiet), Staging(tmp_path, "small") as staging:
            (staging.files / "model.bin").write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        attempt()
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_the_next_holder_of_the_lock_sweeps_what_a_killed_one_left(tmp_path: Path) -> None:
    leftover = tmp_path / ".partial" / "small-abc" / "files"
    leftover.mkdir(parents=True)
    with locked(tmp_path, _quiet):
        assert not (tmp_path / ".partial").exists()


def test_a_link_in_place_of_the_scratch_folder_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    root = tmp_path / "store"
    root.mkdir()
    (root / ".partial").symlink_to(precious)
    with locked(root, _quiet):
        assert precious.is_dir()
        assert not (root / ".partial").is_symlink()


def test_a_second_pull_waits_for_the_first_and_says_so(tmp_path: Path) -> None:
    lock = _hold(tmp_path)
    said: list[str] = []

    def let_go(line: str) -> None:
        said.append(line)
        os.close(lock)

    with locked(tmp_path, let_go):
        assert (tmp_path / ".lock").read_text() == f"{os.getpid()}\n"
    (line,) = said
    assert "process 4711" in line
    assert "waiting" in line


def test_a_second_pull_does_not_wait_for_ever(tmp_path: Path) -> None:
    lock = _hold(tmp_path)
    with pytest.raises(PlacementFailed, match=r"process 4711\) has held .*Wait for it or stop it"), locked(tmp_path, _quiet, 0.1):
        pytest.fail("the lock was given twice")
    os.close(lock)


def test_threads_exclude_each_other(tmp_path: Path) -> None:
    inside: list[int] = []

    def work() -> None:
        with locked(tmp_path, _quiet):
            inside.append(1)
            assert len(inside) == 1
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not inside


def test_an_unwritable_store_is_a_sentence(
    tmp_path: Path, as_nobody: Callable[[Callable[[], object], type[Exception]], str]
) -> None:
    tmp_path.chmod(0o555)

    def attempt() -> None:
        with locked(tmp_path / "store", _quiet):
            pass

    said = as_nobody(attempt, PlacementFailed)
    assert "cannot be written by the user" in said
    assert "Run the command as root (sudo), or choose another folder with --dest." in said


def test_any_error_of_the_system_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(PlacementFailed, match=r"cannot be written by .*: Read-only file system\."), writing(tmp_path):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def test_too_little_space_is_said_with_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def usage(path: Path) -> object:
        asked.append(path)
        return SimpleNamespace(free=20_000_000)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    require_space(tmp_path / "not" / "there", 1_000_000)
    with pytest.raises(PlacementFailed, match=r"116 MB are needed in .* and 20 MB are free\. Free some space"):
        require_space(tmp_path / "not" / "there", 100_000_000)
    assert asked == [tmp_path, tmp_path]

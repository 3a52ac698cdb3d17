from pathlib import Path

import pytest

from hailo_whisper.failure import Failure
from hailo_whisper.recordings.sources import Source, find


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"sound")


def test_files_are_taken_as_they_are_named(tmp_path: Path) -> None:
    one, other, missing = tmp_path / "b.anything", tmp_path / "a.wav", tmp_path / "not there.wav"
    touch(one, other)
    assert find([one, other, one, missing], recursive=False) == [Source(one), Source(other), Source(missing)]
    assert [Source(path).size for path in (one, missing)] == [5, 0]


def test_the_same_file_by_two_names_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "a.wav")
    monkeypatch.chdir(tmp_path)
    assert find([Path("a.wav"), tmp_path / "a.wav"], recursive=False) == [Source(Path("a.wav"))]


def test_folders_are_walked_for_recordings(tmp_path: Path) -> None:
    touch(*(tmp_path / name for name in ("z.MP3", "deep/er/a.wav", "deep/a.srt", "deep/b.opus", ".hidden/c.wav", "._d.wav")))
    (tmp_path / "round").symlink_to(tmp_path)
    found = find([tmp_path], recursive=True)
    assert [(str(source.path.relative_to(tmp_path)), str(source.below)) for source in found] == [
        ("z.MP3", "."),
        ("deep/b.opus", "deep"),
        ("deep/er/a.wav", "deep/er"),
    ]


def test_folders_below_are_left_alone_without_the_option(tmp_path: Path) -> None:
    touch(tmp_path / "a.wav", tmp_path / "deep" / "b.wav")
    assert find([tmp_path], recursive=False) == [Source(tmp_path / "a.wav")]
    (tmp_path / "a.wav").unlink()
    with pytest.raises(Failure, match="Add --recursive"):
        find([tmp_path], recursive=False)


def test_a_folder_without_a_recording_is_refused(tmp_path: Path) -> None:
    touch(tmp_path / "notes.txt")
    with pytest.raises(Failure, match=r"no recording .*\.wav"):
        find([tmp_path], recursive=True)

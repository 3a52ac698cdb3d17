import os
import time
from pathlib import Path
from unittest.mock import Mock

import pytest

from hailo_whisper.failure import Failure
from hailo_whisper.recordings.results import ENDINGS, Results, Unwritable
from hailo_whisper.recordings.sources import Source
from hailo_whisper.speech.transcript import Segment, Transcript

HEARD = Transcript([Segment(0.0, 1.0, " Grüß Gott.", [1], 0.0, -0.1, 1.0, 0.1, 0)], "de", 1.0)


@pytest.fixture
def source(tmp_path: Path) -> Source:
    path = tmp_path / "clip.one.wav"
    path.write_bytes(b"sound")
    return Source(path)


def test_results_are_beside_the_recording(source: Source) -> None:
    names = {name: path.name for name, path in Results(list(ENDINGS)).paths(source).items()}
    assert names == {
        "json": "clip.one.json",
        "text": "clip.one.txt",
        "srt": "clip.one.srt",
        "vtt": "clip.one.vtt",
        "verbose_json": "clip.one.verbose.json",
    }
    assert {path.parent for path in Results(["text"]).paths(source).values()} == {source.path.parent}


def test_a_folder_of_results_is_laid_out_as_that_of_the_recordings(tmp_path: Path) -> None:
    source = Source(tmp_path / "in" / "deep" / "a.wav", Path("deep"))
    assert Results(["srt"], tmp_path / "out").paths(source)["srt"] == tmp_path / "out" / "deep" / "a.srt"


def test_what_is_written_is_whole_and_nothing_else_is_left(source: Source) -> None:
    results = Results(["text", "json"])
    written = results.write(source, HEARD)
    assert [path.name for path in written] == ["clip.one.txt", "clip.one.json"]
    assert written[0].read_text(encoding="utf-8") == "Grüß Gott.\n"
    assert written[1].read_text(encoding="utf-8").endswith("}\n")
    assert sorted(path.name for path in source.path.parent.iterdir()) == ["clip.one.json", "clip.one.txt", "clip.one.wav"]


def test_the_umask_decides_who_reads_it(source: Source) -> None:
    before = os.umask(0o027)
    try:
        (path,) = Results(["text"]).write(source, HEARD)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640


def test_results_are_current_until_the_recording_is_newer(source: Source) -> None:
    results = Results(["text", "srt"])
    assert not results.current(source)
    text, srt = results.write(source, HEARD)
    assert results.current(source)
    srt.unlink()
    assert not results.current(source), "one is missing"
    results.write(source, HEARD)
    newer = text.stat().st_mtime_ns + 1_000_000_000
    os.utime(source.path, ns=(newer, newer))
    assert not results.current(source)


def test_a_recording_that_is_dated_in_the_future_is_done_once(source: Source) -> None:
    """As by a recorder whose clock is wrong."""
    later = time.time_ns() + 3600 * 10**9
    os.utime(source.path, ns=(later, later))
    results = Results(["text", "srt"])
    results.prepare(source)
    results.write(source, HEARD)
    assert results.current(source)
    os.utime(source.path, ns=(later + 1, later + 1))
    assert not results.current(source)


def test_a_recording_that_is_changed_while_it_is_transcribed_is_done_again(source: Source) -> None:
    results = Results(["text", "srt"])
    before = source.path.stat().st_mtime_ns - 10**9
    os.utime(source.path, ns=(before, before))
    results.prepare(source)
    with source.path.open("ab") as stream:
        stream.write(b" and more of it")
    results.write(source, HEARD)
    assert not results.current(source)
    results.prepare(source)
    results.write(source, HEARD)
    assert results.current(source)


def test_the_results_of_an_old_recording_have_the_time_of_their_making(source: Source) -> None:
    os.utime(source.path, ns=(10**9, 10**9))
    results = Results(["text"])
    results.prepare(source)
    (path,) = results.write(source, HEARD)
    assert path.stat().st_mtime_ns > 10**9
    assert results.current(source)


def test_where_no_date_can_be_set_the_result_is_written_all_the_same(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    later = time.time_ns() + 3600 * 10**9
    os.utime(source.path, ns=(later, later))
    results = Results(["text"])
    results.prepare(source)
    monkeypatch.setattr(os, "utime", Mock(side_effect=PermissionError(1, "Operation not permitted")))
    (path,) = results.write(source, HEARD)
    assert path.read_text(encoding="utf-8") == "Grüß Gott.\n"


def test_what_is_gone_when_it_is_done_has_its_result_all_the_same(source: Source) -> None:
    results = Results(["text"])
    results.prepare(source)
    source.path.unlink()
    (path,) = results.write(source, HEARD)
    assert path.read_text(encoding="utf-8") == "Grüß Gott.\n"


def test_a_missing_recording_has_no_current_results(source: Source) -> None:
    results = Results(["text"])
    results.write(source, HEARD)
    source.path.unlink()
    assert not results.current(source)


def test_an_old_result_stays_when_the_new_one_cannot_be_written(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    results = Results(["text"])
    (path,) = results.write(source, HEARD)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unwritable, match=r"No space left on device.*Make room"):
        results.write(source, Transcript([], "de", 1.0))
    assert path.read_text(encoding="utf-8") == "Grüß Gott.\n"
    assert len([*path.parent.iterdir()]) == 2


def test_a_folder_that_cannot_be_made_is_refused_before_anything_is_transcribed(source: Source) -> None:
    with pytest.raises(Unwritable, match=r"Not a directory.*--output-dir"):
        Results(["text"], source.path / "out").prepare(source)


def test_two_recordings_with_one_result_are_refused(tmp_path: Path) -> None:
    sources = [Source(tmp_path / "clip.wav"), Source(tmp_path / "clip.mp3")]
    with pytest.raises(Failure, match=r"clip\.wav and .*clip\.mp3 would both be written"):
        Results(["text"]).check(sources)
    Results(["text"]).check(sources[:1])


def test_a_result_that_is_a_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="overwrite"):
        Results(["text"]).check([Source(tmp_path / "clip.wav"), Source(tmp_path / "clip.txt")])

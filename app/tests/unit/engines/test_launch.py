from pathlib import Path

import pytest

from hailo_whisper.cli.engines import CLASSES
from hailo_whisper.engines.launch import Found, Launch, fingerprint


def test_a_change_in_a_folder_or_of_a_file_shows(tmp_path: Path) -> None:
    path = tmp_path / "model.hef"
    for place in (path, tmp_path):
        seen = [fingerprint(place)]
        for text in ("one", "other"):
            path.write_text(text)
            seen.append(fingerprint(place))
        assert len({str(found) for found in seen}) == 3
        assert fingerprint(place) == fingerprint(place)
        path.unlink()


@pytest.mark.parametrize(("kind", "engine"), [*CLASSES.items(), ("", "mine.own:Engine")])
def test_an_engine_is_called_by_one_word(kind: str, engine: str) -> None:
    launch = Launch("base", engine, kind=kind, prepare=_nothing, compute_type="int8", threads=0, warm_up=None)  # type: ignore[arg-type]
    assert launch.engine_name == (kind or "mine")


def _nothing() -> Found:
    raise AssertionError

from pathlib import Path

from hailo_whisper.engines.launch import fingerprint


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

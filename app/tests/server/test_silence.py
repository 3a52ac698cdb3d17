"""Where nobody speaks the engine is not asked, however long it lasts."""

from pathlib import Path

import media
import pytest
from polling import until
from serving import server_process

HOURS = 3


@pytest.mark.rule("silence")
def test_hours_of_silence_have_no_text_and_no_segments(tmp_path: Path, model_folder: Path) -> None:
    quiet = media.encoded("flac", media.silence(HOURS * 3600, 8000))
    assert len(quiet) < 25 * 1024 * 1024, "as small as an upload may be"
    with server_process(tmp_path, model_folder) as server:
        until(server.ready)
        reply = server.transcribe(quiet, response_format="verbose_json")
        assert reply.status_code == 200
        heard = reply.json()
        assert (heard["text"], heard["segments"], heard["duration"]) == ("", [], HOURS * 3600)
        # The warm-up was the one and only batch.
        assert (model_folder / "batches").read_text().split() == ["1"]

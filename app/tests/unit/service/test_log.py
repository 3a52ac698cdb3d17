import logging
import re
from collections.abc import Iterator

import pytest

from hailo_whisper.service import log


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = [*root.handlers], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize(("level", "priority"), [("info", 6), ("warning", 4), ("error", 3), ("critical", 2)])
def test_the_journal_gets_the_priority(
    level: str, priority: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "9:12345")
    log.configure()
    getattr(logging.getLogger("hailo_whisper"), level)("the model is %s", "ready")
    assert capsys.readouterr().err == f"<{priority}>hailo_whisper: the model is ready\n"


def test_every_line_of_a_traceback_has_the_priority(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "9:12345")
    log.configure()
    logging.getLogger("hailo_whisper").error("it failed", exc_info=RuntimeError("no luck\ntoday"))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("<3>") for line in lines)


def test_a_terminal_gets_the_time_and_no_priority(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure()
    logging.getLogger("hailo_whisper").warning("mind the gap")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d [\d:,]+ WARNING hailo_whisper: mind the gap\n", capsys.readouterr().err)


def test_debugging_is_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure()
    logging.getLogger("hailo_whisper").debug("a detail")
    assert capsys.readouterr().err == ""

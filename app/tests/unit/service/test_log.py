import asyncio
import io
import json
import logging
import re
import subprocess
import sys
import warnings
from typing import Any

import pytest

from hailo_whisper.service import log


@pytest.fixture(autouse=True)
def no_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(log.FORM, "")


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "9:12345")


logger = logging.getLogger("hailo_whisper.here")


def objects(capsys: pytest.CaptureFixture[str], prefix: str = "") -> list[dict[str, Any]]:
    """What was logged since the last call; each line must be one object, behind its priority."""
    lines = capsys.readouterr().err.removesuffix("\n").split("\n")
    assert all(line.startswith(prefix) for line in lines), lines
    return [json.loads(line.removeprefix(prefix)) for line in lines]


@pytest.mark.usefixtures("journal")
@pytest.mark.parametrize(("level", "priority"), [("info", 6), ("warning", 4), ("error", 3), ("critical", 2)])
def test_the_journal_gets_the_priority(level: str, priority: int, capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("text")
    getattr(logger, level)("the model is %s", "ready")
    assert capsys.readouterr().err == f"<{priority}>hailo_whisper.here: the model is ready\n"
    log.configure("json")
    getattr(logger, level)("the model is %s", "ready")
    expected = {"level": level, "logger": "hailo_whisper.here", "message": "the model is ready"}
    assert objects(capsys, f"<{priority}>") == [expected]


@pytest.mark.usefixtures("journal")
def test_every_line_of_a_traceback_has_the_priority(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("text")
    logger.error("it failed", exc_info=RuntimeError("no luck\ntoday"))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("<3>") for line in lines)


def test_a_terminal_gets_the_time_and_no_priority(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure()
    logger.warning("mind the gap")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d [\d:,]+ WARNING hailo_whisper.here: mind the gap\n", capsys.readouterr().err)


def test_debugging_is_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure()
    logger.debug("a detail")
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("journal")
def test_the_journal_gets_json_unless_told_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure()
    logger.info("well")
    assert objects(capsys, "<6>")[0]["message"] == "well"


def test_json_elsewhere_has_the_time(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("json")
    logger.info("well")
    (line,) = objects(capsys)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])


def test_facts_are_fields_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("json")
    logger.info("ready", extra={"model": "base", "load_seconds": 0.123456, "where": object})
    (line,) = objects(capsys)
    assert (line["model"], line["load_seconds"]) == ("base", 0.123456)
    assert line["where"] == str(object), "what JSON lacks is written as text"
    assert not {"args", "levelno", "taskName", "msg"} & set(line)


def test_facts_follow_the_message_in_text(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("text")
    logger.info("ready", extra={"model": "base", "load_seconds": 0.123456, "path": "a b", "evil": "x\n<0>y", "none": ""})
    text = capsys.readouterr().err
    assert text.endswith('ready model=base load_seconds=0.1235 path="a b" evil="x\\n<0>y" none=""\n')


def test_facts_stand_before_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("text")
    logger.error("it failed", exc_info=RuntimeError("no luck"), extra={"model": "base"})
    first, *rest = capsys.readouterr().err.splitlines()
    assert first.endswith("it failed model=base")
    assert rest == ["RuntimeError: no luck"]


def test_an_exception_is_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("json")
    try:
        raise RuntimeError("no luck\ntoday")
    except RuntimeError:
        logger.exception("it failed")
    (line,) = objects(capsys)
    assert line["message"] == "it failed"
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("RuntimeError: no luck\ntoday")


@pytest.mark.parametrize("text", ["schön \U0001f600", "two\nlines\r\x00\x1b[2J", 'a "quote" \\', "\udce4 alone", "\u2028"])
def test_any_text_is_one_line_of_json(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("json")
    logger.info("%s", text)
    assert objects(capsys)[0]["message"] == text


def test_a_stream_of_ascii_gets_json_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(raw := io.BytesIO(), encoding="ascii", errors="backslashreplace")
    monkeypatch.setattr(sys, "stderr", stream)
    log.configure("json")
    logger.info("schön")
    stream.flush()
    assert json.loads(raw.getvalue())["message"] == "schön"


@pytest.mark.parametrize("character", ["a", "語", "\n", "\x01"])
def test_a_line_is_no_longer_than_the_journal_takes(character: str, capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("json")
    logger.info("long", extra={"transcript": character * 100_000, "status": 200})
    text = capsys.readouterr().err
    assert 10_000 < len(text.encode()) <= 46_000
    line = json.loads(text)
    assert (line["message"], line["status"]) == ("long", 200)
    assert line["transcript"].endswith(log.CUT)
    assert line["transcript"].startswith(character * 1000)


@pytest.mark.parametrize("form", ["text", "json"])
def test_lines_carry_the_request(form: log.Form, capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(form)

    async def deeper() -> None:
        logger.info("deeper")

    async def serve(identity: str) -> None:
        with log.request(identity):
            await asyncio.sleep(0)
            logger.info("served")
            await asyncio.create_task(deeper())
            await asyncio.to_thread(logger.info, "in a thread")

    async def both() -> None:
        await asyncio.gather(serve("req_a"), serve("req_b"))
        logger.info("neither")

    asyncio.run(both())
    lines = capsys.readouterr().err.splitlines()
    told = sorted(match[0] if (match := re.search("req_[ab]", line)) else "none" for line in lines)
    assert told == ["none", *["req_a"] * 3, *["req_b"] * 3]


def test_notes_are_the_requests_own_and_numbers_add_up() -> None:
    log.note(lost=1)
    with log.request("req_a") as record:
        log.note(engine_seconds=0.5, language="en")
        log.note(engine_seconds=0.25, language="de")
    log.note(lost=1)
    assert record == {"request_id": "req_a", "engine_seconds": 0.75, "language": "de"}


@pytest.mark.parametrize("transcripts", [False, True])
def test_what_was_said_is_noted_only_when_asked_for(transcripts: bool) -> None:
    log.configure(transcripts=transcripts)
    with log.request("req_a") as record:
        log.note_transcript("open the door")
    assert ("transcript" in record) == transcripts


def test_a_warning_of_a_library_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("json")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("this will go", FutureWarning, stacklevel=1)
    assert "this will go" in objects(capsys)[0]["message"]


@pytest.mark.parametrize("form", ["json", "text"])
def test_an_exception_that_nobody_caught_is_logged(form: str) -> None:
    program = f"from hailo_whisper.service import log\nlog.configure({form!r})\nraise RuntimeError('no luck')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "no luck" in done.stderr
    if form == "json":
        (line,) = done.stderr.splitlines()
        assert json.loads(line)["level"] == "critical"
    else:
        assert "CRITICAL" in done.stderr
        assert "Traceback" in done.stderr


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_child_writes_as_its_parent_does(form: log.Form) -> None:
    log.configure(form, level=logging.WARNING)
    program = "from hailo_whisper.service import log\nlog.configure_child()\nimport logging\nlogging.info('too much')\nlogging.error('from the child')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert "from the child" in done.stderr
    assert "too much" not in done.stderr
    assert done.stderr.startswith("{") == (form == "json")

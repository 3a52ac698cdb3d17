"""Logging: lines on standard error, as JSON or as text, with the priority that journald reads (sd-daemon(3)) where it listens.

While a request is served, every line carries its id, and whoever learns something about it notes that for the one line that it
gets at its end. What was said is in no line unless the settings ask for it (log.transcripts).
"""

import contextlib
import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Literal

Form = Literal["auto", "text", "json"]

PRIORITIES = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6, logging.DEBUG: 7}
# journald cuts a line of more than 48 KiB in two (LineMax= of journald.conf(5)), and neither half is JSON.
LONGEST = 45_000
CUT = " [...]"
# Tells the child processes what form to write, and from which level up. It is no setting, and it is not of the settings' names, which would look like one.
FORM = "HAILO_LOG_FORM"
# What every record has; the rest is what the caller gave as `extra`. `color_message` is uvicorn's, for a terminal.
_STANDARD = {*logging.LogRecord("", 0, "", 0, "", (), None).__dict__, "message", "asctime", "taskName", "color_message"}

_request: ContextVar[dict[str, Any] | None] = ContextVar("request", default=None)
_transcripts = False


@contextlib.contextmanager
def request(identity: str) -> Iterator[dict[str, Any]]:
    """While it is entered, lines carry `request_id`, also those of the tasks that were started meanwhile.

    Gives the record of the request, which `note` fills.
    """
    record = {"request_id": identity}
    token = _request.set(record)
    try:
        yield record
    finally:
        _request.reset(token)


def note(**facts: Any) -> None:
    """Say something about the request that is being served, for its line; numbers of one name add up. Else it does nothing."""
    record = _request.get()
    if record is None:
        return
    for name, value in facts.items():
        before = record.get(name, 0)
        record[name] = before + value if isinstance(value, int | float) and isinstance(before, int | float) else value


def note_transcript(text: str) -> None:
    """Note what was said, if the settings allow that."""
    if _transcripts:
        note(transcript=text)


class _Formatter(logging.Formatter):
    def __init__(self, *, as_json: bool, journal: bool, unicode: bool) -> None:
        # The journal has its own clock.
        super().__init__("%(name)s: %(message)s" if journal else "%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._json, self._journal, self._unicode = as_json, journal, unicode

    def format(self, record: logging.LogRecord) -> str:
        text = self._object(record) if self._json else self._text(record)
        if not self._journal:
            return text
        prefix = f"<{PRIORITIES.get(record.levelno, 6)}>"
        return "\n".join(prefix + line for line in text.split("\n"))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line before a traceback, with the facts behind the message."""
        facts = "".join(f" {name}={_plain(value)}" for name, value in _facts(record).items())
        return super().formatMessage(record) + facts

    def _text(self, record: logging.LogRecord) -> str:
        return super().format(record)

    def _object(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {} if self._journal else {"time": _time(record.created)}
        fields |= {"level": record.levelname.lower(), "logger": record.name, "message": record.getMessage()}
        fields |= _facts(record)
        if record.exc_info and record.exc_info[0]:
            fields["exception"] = self.formatException(record.exc_info)
        while True:
            # Half a character, as a broken file name has, is written as its escape, which JSON shares with Python.
            data = json.dumps(fields, ensure_ascii=not self._unicode, default=str).encode(errors="backslashreplace")
            longest = max(fields, key=lambda name: len(str(fields[name])))
            half = len(str(fields[longest])) // 2
            if len(data) <= LONGEST or half <= len(CUT):
                return data.decode()
            fields[longest] = str(fields[longest]).removesuffix(CUT)[:half] + CUT


def _facts(record: logging.LogRecord) -> dict[str, Any]:
    """What was given as `extra`, and the id of the request that is being served."""
    current = _request.get()
    identity = {"request_id": current["request_id"]} if current else {}
    return identity | {name: value for name, value in record.__dict__.items() if name not in _STANDARD}


def _plain(value: object) -> str:
    """A fact in a line of text: in quotes if it could be taken for more than one, or would break the line."""
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if text.isprintable() and text and not set(text) & set(' "=') else json.dumps(text, ensure_ascii=False)


def _time(created: float) -> str:
    seconds, fraction = divmod(created, 1)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{int(fraction * 1000):03}Z"


def configure(form: Form = "auto", *, transcripts: bool = False, level: int = logging.INFO) -> None:
    """Send the records of this program and of its libraries to standard error, from `level` up.

    "auto" is JSON where journald listens, and text elsewhere. With `transcripts`, what was said may be logged.
    """
    global _transcripts  # noqa: PLW0603 - logging is one for the whole process, and so is this
    _transcripts = transcripts
    journal = "JOURNAL_STREAM" in os.environ
    as_json = journal if form == "auto" else form == "json"
    os.environ[FORM] = f"{'json' if as_json else 'text'} {level}"
    handler = logging.StreamHandler(sys.stderr)
    # Where the stream is not of UTF-8, it would write what it lacks as \x.., which no JSON has.
    unicode = (sys.stderr.encoding or "").lower() in ("utf-8", "utf8")
    handler.setFormatter(_Formatter(as_json=as_json, journal=journal, unicode=unicode))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
    sys.excepthook = _uncaught


def configure_child() -> None:
    """Do as the parent does: it left a word in the environment. Children run nothing of a request, and know no transcripts."""
    form, _, level = os.environ.get(FORM, "").partition(" ")
    configure("json" if form == "json" else "text", level=int(level) if level.isdigit() else logging.INFO)


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    logging.getLogger(__name__).critical("the program has come to an end by a mistake of its own", exc_info=(kind, error, trace))

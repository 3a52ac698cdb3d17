"""The filters of playbooks/report.yml: what there is to say of each host, as rows, as a table for people, and as a page."""

import html
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

COLUMNS = ("host", "state", "version", "method", "accelerator", "driver", "engine", "model", "sum", "installed", "rollout")
SAID = ("ready", "unloaded")
SHOWN = 12
"""Digits of a sum."""
TITLES = {"rollout": "last roll-out"}
"""Of columns that are not called by their names."""

Row = dict[str, Any]

STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2em}table{border-collapse:collapse}td,th{padding:.3em .8em;text-align:left;"
    "vertical-align:top;border-bottom:1px solid #ccc}.bad{background:#fdd}.drift{background:#ffd}"
)


def rows(names: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]], version: str) -> list[Row]:
    """A row for each host. `hostvars[name].report_asked` is what `setup` returned; `version` is that of the tree."""
    found = [_row(name, hostvars[name], version) for name in names]
    _compare(found, "sum", ("model", "accelerator"), "Its weights of {model} are {has}, and those of most machines {usual}.")
    free = [row for row in found if not _wanted_version(hostvars[row["host"]], version)]
    _compare(free, "version", (), "It has version {has}, and most machines for which the inventory names none have {usual}.")
    return found


def table(rows: Sequence[Row]) -> list[str]:
    """The lines of a table, and below it a line for each thing that is not as it should be."""
    cells = [[_title(column).upper() for column in COLUMNS], *([_cell(row[column]) for column in COLUMNS] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    said = [f"{row['host']}: {sentence}" for row in rows for sentence in _sentences(row)]
    return [*lines, *said, _summary(rows)]


def page(rows: Sequence[Row], generated: str) -> str:
    """An HTML page that needs nothing else."""
    head = "".join(f"<th>{_title(column)}</th>" for column in (*COLUMNS, "what is not as it should be"))
    body = "\n".join(_line(row) for row in rows)
    return (
        '<!DOCTYPE html>\n<html lang="en"><meta charset="utf-8"><title>hailo-whisper: the fleet</title>\n'
        f"<style>{STYLE}</style>\n<h1>The fleet</h1>\n<p>{html.escape(generated)}. {html.escape(_summary(rows))}</p>\n"
        f"<table>\n<tr>{head}</tr>\n{body}\n</table>\n</html>\n"
    )


def _row(name: str, variables: Mapping[str, Any], version: str) -> Row:
    row: Row = {"host": name, **dict.fromkeys(COLUMNS[1:]), "reason": None, "drifts": [], "facts": None}
    asked = variables.get("report_asked") or {}
    facts = ((asked.get("ansible_facts") or {}).get("ansible_local") or {}).get("hailo_whisper")
    if asked.get("unreachable"):
        return row | {"state": "unreachable", "reason": _text(asked.get("msg"))}
    # Ansible puts the error of a fact that cannot be read where its data would be.
    if not isinstance(facts, Mapping):
        reason = _text(facts or asked.get("msg")) or "It has no fact of hailo-whisper: deploy it with playbooks/site.yml."
        return row | {"state": "unknown", "reason": reason}
    service = _section(facts, "service")
    accelerator = _section(facts, "accelerator")
    model = service.get("model") or _section(_section(facts, "settings"), "model").get("name")
    models = _section(facts, "models")
    ready = service.get("status") in SAID
    return row | {
        "state": "ready" if ready else "not ready",
        "reason": None if ready else _text(service.get("reason") or service.get("status")) or "Nothing is known of its service.",
        "version": facts.get("version"),
        "method": facts.get("method"),
        "accelerator": accelerator.get("name"),
        "driver": accelerator.get("driver"),
        "engine": service.get("engine"),
        "model": model,
        "sum": models.get(str(model)),
        "installed": facts.get("installed"),
        "rollout": _rollout(_section(facts, "last_rollout")),
        "drifts": [*_drifts(variables, facts, version), *_unfinished(_section(facts, "last_rollout"))],
        "facts": facts,
    }


def _drifts(variables: Mapping[str, Any], facts: Mapping[str, Any], version: str) -> Iterable[str]:
    """What is not as the inventory has it, as sentences."""
    service, settings = _section(facts, "service"), _section(facts, "settings")
    has, runs, wanted = facts.get("version"), service.get("version"), _wanted_version(variables, version)
    if wanted and has != wanted:
        yield f"It has version {_cell(has)}, and the inventory's is {wanted}."
    if runs and runs != has:
        yield f"It still runs version {runs}: restart it."
    method = _method(variables)
    if facts.get("method") != method:
        yield f"It was installed by {_cell(facts.get('method'))}, and the inventory says {method}."
    for answers, configured in (("model", "fallback_for"), ("engine", "engine_fallback_for")):
        if service.get(configured):
            yield f"{service.get(answers)} stands in for {service[configured]}: {_text(service.get('reason'))}"
    for name, wanted in _wanted(variables):
        there = _section(settings, name[0]).get(name[1])
        # The program may have made a number of a text, or a text of a number.
        if there != wanted and str(there) != str(wanted):
            yield f"{'.'.join(name)} is {_shown(there)}, and the inventory says {_shown(wanted)}."


def _rollout(ledger: Mapping[str, Any]) -> str | None:
    """To which version the last roll-out was, what came of it, and when. None without one."""
    return ", ".join(_cell(ledger.get(part)) for part in ("to", "outcome", "time")) if ledger else None


def _unfinished(ledger: Mapping[str, Any]) -> Iterable[str]:
    """What the last roll-out has left to do, as sentences."""
    to, outcome, gateways = _cell(ledger.get("to")), ledger.get("outcome"), ledger.get("drained")
    if outcome == "failed":
        yield f"Its roll-out to {to} failed, and so did the way back: {_text(ledger.get('reason'))}"
    elif outcome == "under way":
        yield f"Its roll-out to {to} has no end: it is under way, or was cut off. The same again finishes it."
    elif gateways and isinstance(gateways, list):
        # The ledger knows nothing of what was done by hand at a gateway.
        yield (
            f"Its roll-out to {to} has left it drained at {', '.join(map(_text, gateways))}, unless somebody has put it back by hand since: the next "
            "one puts it back and notes that, or playbooks/rollback.yml does."
        )


def _method(variables: Mapping[str, Any]) -> str:
    """The way of installing that the inventory says."""
    return variables.get("hailo_whisper_install_method") or "venv"


def _wanted_version(variables: Mapping[str, Any], version: str) -> str:
    """The version that the inventory means, as the program says its own; "" for packages of which it names none: they are the newest that there was."""
    if _method(variables) != "deb":
        return version
    return _text(variables.get("hailo_whisper_version")).partition("+")[0]


def _wanted(variables: Mapping[str, Any]) -> Iterable[tuple[tuple[str, str], Any]]:
    """The settings of the inventory, by section and key."""
    config = _section(variables, "hailo_whisper_config")
    model = _section(config, "model").get("name") or variables.get("hailo_whisper_model") or "base"
    yield ("model", "name"), model
    for section, values in config.items():
        if isinstance(values, Mapping):
            yield from (((section, key), value) for key, value in values.items() if (section, key) != ("model", "name"))


def _compare(rows: Iterable[Row], column: str, alike: Sequence[str], sentence: str) -> None:
    """Say of a host that it has something else in a column than most of those have that are the same in the columns `alike`."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        if row[column]:
            groups.setdefault(tuple(_cell(row[name]) for name in alike), []).append(row)
    for group in groups.values():
        usual, _ = Counter(_text(row[column]) for row in group).most_common(1)[0]
        for row in group:
            if _text(row[column]) != usual:
                row["drifts"].append(sentence.format(model=row["model"], has=_cell(row[column]), usual=_cell(usual)))


def _sentences(row: Row) -> list[str]:
    return [*([row["reason"]] if row["reason"] else []), *row["drifts"]]


def _summary(rows: Sequence[Row]) -> str:
    ready = sum(row["state"] == "ready" for row in rows)
    drifting = sum(bool(row["drifts"]) for row in rows)
    return f"{ready} of {len(rows)} ready, {drifting} not as the inventory has them."


def _line(row: Row) -> str:
    kind = "bad" if row["state"] != "ready" else "drift" if row["drifts"] else "good"
    cells = "".join(f"<td>{html.escape(_cell(row[column]))}</td>" for column in COLUMNS)
    said = "<br>".join(html.escape(sentence) for sentence in _sentences(row))
    return f'<tr class="{kind}">{cells}<td>{said}</td></tr>'


def _title(column: str) -> str:
    return TITLES.get(column, column)


def _cell(value: Any) -> str:
    text = "-" if value is None else _text(value)
    return text[:SHOWN] if len(text) == 64 else text


def _shown(value: Any) -> str:
    return "not set" if value is None else _text(value)


def _text(value: Any) -> str:
    """On one line, whatever a host has said."""
    return " ".join(str(value).split()) if value is not None else ""


def _section(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = values.get(name)
    return found if isinstance(found, Mapping) else {}


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Any]:
        """The filters by name."""
        return {"report_rows": rows, "report_table": table, "report_page": page}

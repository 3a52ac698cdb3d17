"""The summary of playbooks/rollout.yml and rollback.yml: a table at the end of the run, however it ends."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: rollout_summary
type: aggregate
short_description: The summary of a roll-out
description: Shows for each host from which version it came, to which it was to go, and what became of it. Says nothing of other playbooks.
"""

COLUMNS = ("host", "from", "to", "outcome")
GOOD = {
    "rollout.yml": ("done", "was done", "would be done"),
    "rollback.yml": ("rolled back", "was rolled back", "would be rolled back", "no roll-out", "not begun", "another version"),
}
"""What is as it should be, by the playbook."""
# What each may want of somebody, by what became of it.
NEXT = {
    "failed": "mend it, then run playbooks/rollback.yml or the same roll-out with --limit {}; it stays drained at the gateway until then",
    "lost": "when it can be reached again, run the same again, which finishes it, or playbooks/rollback.yml, with --limit {}",
}

Row = dict[str, str]


def rows(hosts: Mapping[str, Mapping[str, Any]], dark: Mapping[str, int], failures: Mapping[str, Sequence[str]]) -> list[Row]:
    """A row for each host that was meant. `hosts` is what the role has said of them, `failures` all with which those have failed that fell out of it."""
    found: list[Row] = []
    for name in [*hosts, *(name for name in [*dark, *failures] if name not in hosts)]:
        row = {column: str(hosts.get(name, {}).get(column) or "-") for column in COLUMNS} | {"host": name}
        first, last = (failures[name][0], failures[name][-1]) if failures.get(name) else ("", "")
        row |= {"why": str(hosts.get(name, {}).get("why") or last), "failed": last}
        if name not in hosts:
            row |= {"outcome": "not reached" if name in dark else "refused"}
        elif row["outcome"] == "under way":
            # Of what follows from the first failure, the way back that failed too, say, it is not told.
            row |= {"outcome": "failed", "why": first} if first and name not in dark else {"outcome": "lost"}
        if name not in (each["host"] for each in found):
            found.append(row)
    return found


def told(result: Mapping[str, Any]) -> str:
    """Why a task has failed. Of a loop the first that has: the whole says only that one did."""
    failed = next((item for item in result.get("results") or [] if item.get("failed") or item.get("unreachable")), result)
    return " ".join(str(failed.get("msg") or "").split())


def table(rows: list[Row], good: Sequence[str]) -> list[str]:
    """The lines of the summary."""
    cells = [tuple(column.upper() for column in COLUMNS), *(tuple(row[column] for column in COLUMNS) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    lines += [f"{row['host']}: {row['why']}" for row in rows if row["why"] and not well(row, good)]
    lines += [f"{row['host']}: {NEXT[row['outcome']].format(row['host'])}." for row in rows if row["outcome"] in NEXT]
    return [*lines, closing(rows, good)]


def well(row: Row, good: Sequence[str]) -> bool:
    """Whether it is as it should be. One that was passed over is, and one that has failed with the same outcome is not."""
    return row["outcome"] in good and not row["failed"]


def closing(rows: list[Row], good: Sequence[str]) -> str:
    """The last line."""
    sound = sum(well(row, good) for row in rows)
    away = sum(row["outcome"] == "not reached" for row in rows)
    if sound == len(rows):
        return f"{sound} of {len(rows)} as they should be."
    stopped = any(row["outcome"] != "not reached" and not well(row, good) for row in rows)
    said = f"{sound} of {len(rows)} as they should be"
    return (
        f"{said}. STOPPED: see above."
        if stopped
        else f"{said}, and {away} could not be reached: run the same again when they can."
    )


class CallbackModule(CallbackBase):  # type: ignore[misc]  # untyped
    """What Ansible calls."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "rollout_summary"

    def __init__(self) -> None:
        super().__init__()
        self._good: Sequence[str] = ()
        self._failures: dict[str, list[str]] = {}

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Know which playbook it is."""
        self._good = GOOD.get(Path(playbook._file_name).name, ())

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Keep why a host has failed."""
        if self._good and not ignore_errors:
            self._failures.setdefault(result._host.get_name(), []).append(told(result._result))

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Keep what was said of a host that is away."""
        if self._good:
            self._failures.setdefault(result._host.get_name(), []).append(told(result._result))

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Show the summary."""
        if not self._good:
            return
        custom = {name: each["rollout"] for name, each in stats.custom.items() if "rollout" in each}
        failed = {name: why for name, why in self._failures.items() if name in stats.failures or name in stats.dark}
        if found := rows(custom, stats.dark, failed):
            self._display.banner("SUMMARY")
            for line in table(found, self._good):
                self._display.display(line)

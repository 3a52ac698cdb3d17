"""docs/operations.md says what the code says: every message in its troubleshooting table occurs there, every playbook and figure is true."""

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
PAGE = (PROJECT / "docs/operations.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(title: str) -> list[list[str]]:
    lines = [line for line in section(title).splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:] if not line.startswith("|--")]


def test_every_message_in_the_table_is_one_of_the_code(code: str) -> None:
    messages = [row[0] for row in rows("When something is wrong")]
    assert len(messages) > 20
    for message in messages:
        assert message.startswith("`"), message
        for part in message.strip("`").split("..."):
            assert " ".join(part.split()) in code, f"nothing says {part!r} any more"


def test_every_row_has_a_cause_and_a_cure() -> None:
    for row in rows("When something is wrong"):
        assert len(row) == 3, row
        assert all(row), row


def test_every_playbook_that_it_names_is_there_and_none_is_forgotten() -> None:
    named = set(re.findall(r"playbooks/(\w+)\.yml", PAGE))
    there = {path.stem for path in (PROJECT / "playbooks").glob("*.yml")}
    assert named <= there
    everyday = {"site", "verify", "monitoring", "report", "backup", "restore", "decommission", "pull", "rollout", "rollback"}
    assert everyday <= set(re.findall(r"playbooks/(\w+)\.yml", section("The first day, and those after it")))


def test_the_capacity_is_that_of_the_measurement() -> None:
    """24 hours, as often as the file of the benchmark fits into them."""
    speed = (PROJECT / "docs/speed.md").read_text(encoding="utf-8")
    (line,) = [line for line in speed.splitlines() if line.startswith("| a file of ")]
    length = float(line.split()[4])
    seconds = float(line.split("|")[-2].split()[0].strip("*"))
    times = length / seconds
    (measured,) = [row for row in rows("What a machine can do") if "measured:" in row[-1]]
    assert f"{24 * times:.0f} hours a day ({times:.0f} times real time)" in measured[2]
    for row in rows("What a machine can do"):
        assert "measured" in " ".join(row) or "estimated" in row[-1]

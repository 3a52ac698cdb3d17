"""The table of docs/conformance.md, made of the rules and of the tests that name them.

`python -m conformance_table` collects the tests, without running any, and prints it.
"""

import contextlib
import io
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

TESTS = Path(__file__).resolve().parent.parent
RULES = TESTS / "conformance" / "rules.yaml"
HEAD = """\
# Conformance

What the OpenAI audio contract asks for, what this server does about it, and which tests show it. Made by `script/generate` from
`app/tests/conformance/rules.yaml` and from the tests, which name the rules that they prove; [api.md](api.md) has the deviations in context.

| rule | here | shown by |
|---|---|---|
"""


class Incomplete(Exception):
    """A rule without a test, or a test of a rule that there is not. The message names them."""


@dataclass(frozen=True)
class Rule:
    """What the contract asks for; `why` is empty where it is kept."""

    id: str
    says: str
    why: str


def rules() -> list[Rule]:
    """All of them, in order."""
    entries = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    found = [Rule(entry["id"], entry["says"], entry.get("why", "")) for entry in entries]
    kept = {entry["id"]: entry.get("kept", True) for entry in entries}
    assert len(kept) == len(found), "each rule has an id of its own"
    assert all(kept[rule.id] == (not rule.why) for rule in found), "a deviation has a reason, and a rule that is kept has none"
    return found


def table(rules: Sequence[Rule], proofs: Mapping[str, Iterable[str]]) -> str:
    """The page. `proofs` has the names of tests by the id of a rule. Raises Incomplete."""
    unknown = sorted(set(proofs) - {rule.id for rule in rules})
    if unknown:
        raise Incomplete(f"tests name rules that {RULES.name} has not: {', '.join(unknown)}")
    unproven = [rule.id for rule in rules if not proofs.get(rule.id)]
    if unproven:
        raise Incomplete(f"no test names these rules: {', '.join(unproven)}. Mark one with @pytest.mark.rule(...).")
    lines = []
    for rule in rules:
        here = f"deviates: {rule.why}" if rule.why else "kept"
        names = "<br>".join(f"`{name}`" for name in sorted(set(proofs[rule.id])))
        lines.append(f"| {rule.says} | {here} | {names} |\n")
    return HEAD + "".join(lines)


class _Collector:
    def __init__(self) -> None:
        self.proofs: dict[str, list[str]] = {}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            name = f"{item.path.relative_to(TESTS)}: {getattr(item, 'originalname', item.name)}"
            for mark in item.iter_markers("rule"):
                for rule in mark.args:
                    self.proofs.setdefault(rule, []).append(name)


def collected() -> dict[str, list[str]]:
    """The names of the tests by the rules that they prove."""
    collector = _Collector()
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        status = pytest.main(
            ["--collect-only", "-q", "-c", str(TESTS.parent / "pyproject.toml"), "-p", "no:cacheprovider", str(TESTS)],
            [collector],
        )
    assert status == 0, said.getvalue()
    return collector.proofs


def main() -> int:
    """Print the page, or say what is missing."""
    try:
        sys.stdout.write(table(rules(), collected()))
    except Incomplete as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

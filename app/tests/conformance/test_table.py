"""docs/conformance.md: made of the rules and the tests, and every rule has a test."""

import subprocess
import sys
from pathlib import Path

import conformance_table
import pytest
from conformance_table import Incomplete, Rule, table

PAGE = Path(__file__).parents[3] / "docs" / "conformance.md"
KEPT = Rule("stream", "`stream` streams", "")
BROKEN = Rule("speakers", "speakers have names", "nobody knows them")


def test_the_page_is_the_one_that_the_tests_make() -> None:
    # In a process of its own, because pytest runs in this one already.
    made = subprocess.run([sys.executable, "-m", "conformance_table"], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    assert made.stdout == PAGE.read_text(encoding="utf-8"), "run script/generate"


def test_a_rule_that_is_kept_and_one_that_is_not() -> None:
    page = table([KEPT, BROKEN], {"stream": ["b: test", "a: test", "a: test"], "speakers": ["c: test"]})
    assert page.removeprefix(conformance_table.HEAD).splitlines() == [
        "| `stream` streams | kept | `a: test`<br>`b: test` |",
        "| speakers have names | deviates: nobody knows them | `c: test` |",
    ]


def test_a_rule_without_a_test() -> None:
    with pytest.raises(Incomplete, match="no test names these rules: speakers"):
        table([KEPT, BROKEN], {"stream": ["a: test"]})


def test_a_test_of_a_rule_that_there_is_not() -> None:
    with pytest.raises(Incomplete, match="has not: strem"):
        table([KEPT], {"stream": ["a: test"], "strem": ["a: test"]})

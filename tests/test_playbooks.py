"""What every playbook has in common: what a failure stops, what is asked of a host, and full names."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).resolve().parent.parent
PLAYBOOKS = sorted((PROJECT / "playbooks").glob("*.yml"))
# Modules that never change a host, so that a play of nothing else does not either. A `command` may, unless it says `changed_when: false`.
READING = {"assert", "debug", "fail", "find", "getent", "meta", "setup", "slurp", "stat", "uri", "wait_for"}
ASKING = {"command", "script", "shell"}
CONTROLLER = {"localhost", "127.0.0.1"}
# What a task has besides its module.
KEYWORDS = set(
    "always any_errors_fatal args async become block changed_when check_mode delay delegate_facts delegate_to diff environment failed_when "
    "ignore_errors ignore_unreachable listen loop loop_control name no_log notify poll register rescue retries run_once tags throttle timeout "
    "until vars when".split()
)


def plays() -> Iterator[Any]:
    for path in PLAYBOOKS:
        for play in yaml.safe_load(path.read_text(encoding="utf-8")):
            # A playbook that is imported stands here itself.
            if "ansible.builtin.import_playbook" not in play:
                yield pytest.param(play, id=f"{path.stem}:{play.get('name')}")


def tasks(entries: Any) -> Iterator[dict[str, Any]]:
    """Every task of a list, those in blocks too."""
    for entry in entries or []:
        inner = [entry[part] for part in ("block", "rescue", "always") if part in entry]
        if inner:
            for part in inner:
                # Where a block is done, all that is in it is done.
                yield from ({"delegate_to": entry.get("delegate_to"), **task} for task in tasks(part))
        else:
            yield entry


def all_tasks(play: dict[str, Any]) -> list[dict[str, Any]]:
    return [task for part in ("pre_tasks", "tasks", "post_tasks", "handlers") for task in tasks(play.get(part))]


def module(task: dict[str, Any]) -> str:
    (name,) = task.keys() - KEYWORDS
    return name


def changes(task: dict[str, Any]) -> bool:
    """Whether a task may change a host."""
    if task.get("delegate_to") in CONTROLLER:
        return False
    name = module(task).removeprefix("ansible.builtin.")
    return name not in READING and not (name in ASKING and task.get("changed_when") is False)


def changes_hosts(play: dict[str, Any]) -> bool:
    """The rule: whatever has roles or a task that may change something, on hosts other than the controller."""
    return play["hosts"] not in CONTROLLER and (bool(play.get("roles")) or any(map(changes, all_tasks(play))))


@pytest.mark.parametrize("play", [*plays()])
def test_a_play_that_changes_hosts_says_what_a_failure_stops(play: dict[str, Any]) -> None:
    said = {"max_fail_percentage", "any_errors_fatal"} & play.keys()
    assert said or not changes_hosts(play), "say max_fail_percentage or any_errors_fatal, with the reason in a comment"
    # Measured with ansible-core 2.19: with force_handlers a host that has failed is not counted until its handlers have run, and nobody is stopped.
    assert not (play.get("force_handlers") and "max_fail_percentage" in play), "max_fail_percentage is void with force_handlers"


@pytest.mark.parametrize("play", [*plays()])
def test_a_play_asks_for_no_more_facts_than_it_names(play: dict[str, Any]) -> None:
    assert "gather_facts" in play, "it would gather all of them, unless it says what it wants"
    if play["gather_facts"]:
        assert play["gather_subset"][0] == "!all"
    for task in all_tasks(play):
        if module(task) == "ansible.builtin.setup":
            assert task["ansible.builtin.setup"]["gather_subset"][0] == "!all"


@pytest.mark.parametrize("play", [*plays()])
def test_modules_have_their_full_names(play: dict[str, Any]) -> None:
    assert play["name"][0].isupper()
    for task in all_tasks(play):
        assert module(task).count(".") == 2, task["name"]


@pytest.mark.parametrize(
    "path", sorted([*PLAYBOOKS, *(PROJECT / "roles").glob("*/tasks/*.yml")]), ids=lambda path: f"{path.parts[-3]}/{path.stem}"
)
def test_a_fleet_does_not_ask_one_gateway_all_at_once(path: Path) -> None:
    """Debian's sshd lets no more than ten at a time in (MaxStartups), and ten commands over one connection (MaxSessions)."""
    loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    found = [task for play in loaded for task in all_tasks(play)] if path in PLAYBOOKS else [*tasks(loaded)]
    for task in found:
        if task.get("delegate_to") not in {None, *CONTROLLER}:
            assert task.get("throttle", 99) < 10 or task.get("run_once"), task["name"]


def test_the_rule_knows_what_changes_a_host() -> None:
    copy = {"name": "x", "ansible.builtin.copy": {}}
    assert changes_hosts({"hosts": "all", "tasks": [copy]})
    assert changes_hosts({"hosts": "all", "tasks": [{"block": [copy]}]})
    assert changes_hosts({"hosts": "all", "tasks": [{"ansible.builtin.command": {}}]})
    assert changes_hosts({"hosts": "all", "roles": [{"role": "x"}]})
    assert not changes_hosts({"hosts": "localhost", "tasks": [copy]})
    assert not changes_hosts({"hosts": "all", "tasks": [{"delegate_to": "localhost", "block": [copy]}]})
    assert not changes_hosts({"hosts": "all", "tasks": [{"ansible.builtin.command": {}, "changed_when": False}]})

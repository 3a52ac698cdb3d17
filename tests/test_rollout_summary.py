"""What a roll-out says at its end (plugins/callback/rollout_summary.py)."""

from pathlib import Path

from loading import loaded


def test_the_summary(project: Path) -> None:
    plugin = loaded(project / "plugins/callback/rollout_summary.py")
    good = plugin.GOOD["rollout.yml"]
    hosts = {
        "a": {"from": "1", "to": "2", "outcome": "done", "why": ""},
        "b": {"from": "1", "to": "2", "outcome": "failed", "why": "no room"},
        "c": {"from": "1", "to": "2", "outcome": "under way", "why": ""},
        "f": {"from": "1", "to": "2", "outcome": "under way", "why": ""},
        "g": {"from": "1", "to": "2", "outcome": "under way", "why": ""},
    }
    failures = {
        "c": ["Too late.", "No route to host"],
        "d": ["No route to host"],
        "e": ["Too little memory."],
        "f": ["The controller's disk is full.", "Then the way back failed."],
    }
    rows = plugin.rows(hosts, {"c": 1, "d": 1}, failures)
    assert plugin.table(rows, good) == [
        "HOST  FROM  TO  OUTCOME",
        "a     1     2   done",
        "b     1     2   failed",
        "c     1     2   lost",
        "f     1     2   failed",
        "g     1     2   lost",
        "d     -     -   not reached",
        "e     -     -   refused",
        "b: no room",
        "c: No route to host",
        "f: The controller's disk is full.",
        "d: No route to host",
        "e: Too little memory.",
        "b: mend it, then run playbooks/rollback.yml or the same roll-out with --limit b; it stays drained at the gateway until then.",
        "c: when it can be reached again, run the same again, which finishes it, or playbooks/rollback.yml, with --limit c.",
        "f: mend it, then run playbooks/rollback.yml or the same roll-out with --limit f; it stays drained at the gateway until then.",
        "g: when it can be reached again, run the same again, which finishes it, or playbooks/rollback.yml, with --limit g.",
        "1 of 7 as they should be. STOPPED: see above.",
    ]
    assert plugin.closing(plugin.rows({"a": hosts["a"]}, {"d": 1}, {}), good) == (
        "1 of 2 as they should be, and 1 could not be reached: run the same again when they can."
    )
    assert plugin.closing(plugin.rows({"a": hosts["a"]}, {}, {}), good) == "1 of 1 as they should be."

    # Passed over, and not begun with.
    back = plugin.GOOD["rollback.yml"]
    hosts = {name: {"from": "2", "to": "1", "outcome": "not begun", "why": "no room"} for name in "ab"}
    assert plugin.table(plugin.rows(hosts, {}, {"b": ["b was left as it is. no room"]}), back)[3:] == [
        "b: no room",
        "1 of 2 as they should be. STOPPED: see above.",
    ]
    hosts = {"a": {"from": "2", "to": "1", "outcome": "rolled back", "why": ""}}
    assert plugin.table(plugin.rows(hosts, {}, {"a": ["The disk is full."]}), back)[2:] == [
        "a: The disk is full.",
        "0 of 1 as they should be. STOPPED: see above.",
    ]


def test_what_a_task_says_of_its_failure(project: Path) -> None:
    told = loaded(project / "plugins/callback/rollout_summary.py").told
    assert told({"msg": "No\nroute."}) == "No route."
    items = [{"msg": "All is well"}, {"failed": True, "msg": "this one"}, {"failed": True, "msg": "that one"}]
    assert told({"msg": "One or more items failed", "results": items}) == "this one"
    assert told({"results": [{"unreachable": True, "msg": "Nobody is there"}]}) == "Nobody is there"
    assert told({}) == ""

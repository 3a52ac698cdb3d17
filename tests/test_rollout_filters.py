"""Who is rolled out to when, behind which gateways, and in which words a reason is given (plugins/filter/rollout.py)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from loading import loaded


@pytest.fixture
def filters(project: Path) -> dict[str, Callable[..., Any]]:
    found: dict[str, Callable[..., Any]] = loaded(project / "plugins/filter/rollout.py").FilterModule().filters()
    return found


def test_who_goes_first_and_who_together(filters: dict[str, Callable[..., Any]]) -> None:
    names, groups = ["a", "b", "c", "d"], {"lab": ["d", "b"], "hailo_whisper": ["a", "b", "c", "d", "e"]}
    assert filters["rollout_chosen"](names, groups, 2, names) == {"hosts": ["a", "b"], "away": [], "unknown": []}
    assert filters["rollout_chosen"](names, groups, "0", names) == {"hosts": [], "away": [], "unknown": []}
    assert filters["rollout_chosen"](names, groups, "lab", names) == {"hosts": ["b", "d"], "away": [], "unknown": []}
    assert filters["rollout_chosen"](names, groups, ["c", "x"], names) == {"hosts": ["c"], "away": [], "unknown": ["x"]}
    # With --limit, say, which leaves it out.
    assert filters["rollout_chosen"](names, groups, "e", names) == {"hosts": [], "away": [], "unknown": []}
    # Who cannot be reached is no canary, and known all the same.
    assert filters["rollout_chosen"](["b", "c"], groups, 1, names) == {"hosts": ["b"], "away": [], "unknown": []}
    assert filters["rollout_chosen"](["b", "c"], groups, ["a", "lab"], names) == {
        "hosts": ["b"],
        "away": ["a", "d"],
        "unknown": [],
    }
    hostvars: dict[str, dict[str, Any]] = {
        "a": {"rollout_outcome": "was done", "rollout_canary": False},
        "b": {"rollout_outcome": "untouched", "rollout_canary": False},
        "c": {},
        "d": {"rollout_outcome": "untouched", "rollout_canary": True},
    }
    assert filters["rollout_hosts"](names, hostvars) == ["d", "b"]
    assert filters["rollout_batches"](names, hostvars) == [1, 1, "10%", "25%"]
    hostvars["b"]["hailo_whisper_rollout_serial"] = "50%"
    assert filters["rollout_batches"](names, hostvars) == [1, "50%"]
    assert filters["rollout_hosts"](["a"], hostvars) == ["all:!all"]
    assert filters["rollout_batches"](["a"], hostvars) == [1, "10%", "25%"]
    assert filters["rollout_hosts"](names, {}) == names, "while tasks are listed"


def test_the_gateways_of_a_host(filters: dict[str, Callable[..., Any]]) -> None:
    hostvars = {"tower": {}, "cellar": {"hailo_whisper_gateway_nodes": ["office"]}}
    assert filters["rollout_gateways"](["tower", "cellar"], hostvars, "kitchen") == ["tower"]
    asked = [
        {"item": "tower", "rc": 0, "stdout": json.dumps([{"name": "my-kitchen", "state": "drain"}])},
        {"item": "cellar", "rc": 0, "stdout": json.dumps([{"name": "my-kitchen", "state": "down"}])},
        {"item": "hut", "rc": 1, "stderr": "HAProxy does not answer"},
        {"item": "barn", "unreachable": True},
    ]
    assert filters["rollout_drainable"](asked, "my kitchen", []) == ["cellar"]
    assert filters["rollout_drainable"](asked, "my kitchen", ["tower"]) == ["tower", "cellar"]
    assert filters["rollout_drainable"](asked, "office", []) == []
    assert filters["rollout_strange"](asked, "my kitchen") == {}
    asked[1]["stdout"] = json.dumps([{"name": name, "state": "ready"} for name in "gfedcba"])
    assert filters["rollout_strange"](asked, "my kitchen") == {
        "cellar": "The gateway cellar does not know my kitchen (it has a, b, c, d, e and 2 more)."
    }
    assert filters["rollout_silent"](asked) == ["hut", "barn"]


def test_which_versions_are_to_be_left(filters: dict[str, Callable[..., Any]]) -> None:
    hostvars = {name: {"rollout_outcome": "untouched", "rollout_left": "2.0"} for name in "abcdefg"}
    hostvars["a"] = {"rollout_outcome": "was rolled back", "rollout_left": "3.0"}
    hostvars["b"]["rollout_left"] = "1.0"
    assert filters["rollout_leaving"]("ab", hostvars) == {"1.0": "b to 1.0"}
    assert filters["rollout_leaving"]("abcdefg", hostvars) == {"1.0": "b to 1.0", "2.0": "c, d, e, f, g to 2.0"}
    hostvars["a"]["rollout_outcome"] = "untouched"
    hostvars["a"]["rollout_left"] = "2.0"
    assert filters["rollout_leaving"]("abcdefg", hostvars)["2.0"] == "a, c, d, e, f and 1 more to 2.0"


def test_where_the_way_back_comes_from(filters: dict[str, Callable[..., Any]], tmp_path: Path) -> None:
    (tmp_path / "pool/main").mkdir(parents=True)
    file = tmp_path / "pool/main/hailo-whisper_1.0+deb12u1_arm64.deb"
    file.touch()
    lacking = {"hailo-whisper": "1.0+deb12u1", "hailo-whisper-accel-hailo": "1.0+deb12u1"}
    assert filters["rollout_packages"](lacking, str(tmp_path), "aarch64") == {
        "files": [str(file)],
        "missing": ["hailo-whisper-accel-hailo_1.0+deb12u1_arm64.deb"],
    }
    assert filters["rollout_packages"](lacking, "", "aarch64")["files"] == []


def test_a_reason_is_one_line_of_what_was_said(filters: dict[str, Callable[..., Any]]) -> None:
    reason = filters["rollout_reason"]
    assert reason({"msg": "It is\nnot ready."}, "Ask") == "Ask: It is not ready."
    assert reason({"msg": "non-zero return code", "stderr": "E: no room\n"}) == "E: no room"
    assert reason({"msg": "All items failed", "results": [{"failed": False}, {"failed": True, "msg": "this one"}]}) == "this one"
    unreachable = {"results": [{"rc": 0}, {"unreachable": True, "msg": "Nobody is there"}], "msg": "All items completed"}
    assert reason(unreachable) == "Nobody is there"
    farewell = "Shared connection to 192.0.2.7 closed.\r\n"
    assert (
        reason({"msg": "non-zero return code", "stderr": farewell, "stdout": "There is no snapshot.\r\n"})
        == "There is no snapshot."
    )
    assert reason({"msg": "non-zero return code", "stderr": f"E: no room\n{farewell}", "stdout": "1 of 2"}) == "E: no room"
    assert reason({}) == "it does not say why"
    assert len(reason({"msg": "x" * 9000})) == 503

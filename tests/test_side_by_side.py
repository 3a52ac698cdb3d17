"""The run of several parts by two workers: what is seen of it, how it ends, and that no two scenarios are in each other's way."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from side_by_side import pytest_xdist_auto_num_workers, rank, unit

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(project: Path, tmp_path: Path) -> Iterator[Start]:
    """Start pytest with the workers and the fixtures of the house on a file of tests, as a shell does: in a group of processes of its own."""
    started = []

    def run(tests: str, *options: str) -> "subprocess.Popen[str]":
        (tmp_path / "test_some.py").write_text(tests)
        (tmp_path / "pytest.ini").write_text("[pytest]\n")
        path = os.pathsep.join(str(project / folder) for folder in ("tests", "tests/support"))
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "pytest",
                "-p",
                "xdist",
                "-p",
                "side_by_side",
                "-p",
                "conftest",
                "-n",
                "auto",
                *options,
                str(tmp_path),
            ],
            cwd=tmp_path,
            # The other plugins take seconds, in each of three processes.
            env=os.environ | {"PYTHONPATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_a_scenario_is_a_unit_and_tests_that_share_a_server_are_one() -> None:
    assert unit("tests/test_molecule.py::test_scenario[deb]") != unit("tests/test_molecule.py::test_scenario[hailo]")
    assert unit("app/tests/contract/test_sdk.py::test_one") == unit("app/tests/contract/test_node.py::test_two")
    assert unit("app/tests/contract/test_sdk.py::test_one") != unit("app/tests/contract/test_hailo.py::test_two")
    assert unit("app/tests/server/test_logs.py::test_one") == unit("app/tests/server/test_logs.py::TestMore::test_two[a::b]")
    assert unit("app/tests/server/test_logs.py::test_one") != unit("app/tests/server/test_room.py::test_one")


def test_what_takes_long_comes_first() -> None:
    tests = [
        "app/tests/unit/test_settings.py::t",
        "tests/test_molecule.py::t",
        "app/tests/server/test_logs.py::t",
        "tests/test_package.py::t",
    ]
    assert [tests.index(test) for test in sorted(tests, key=rank)] == [3, 1, 2, 0]


def test_no_two_scenarios_have_a_machine_of_the_same_name(project: Path) -> None:
    names: list[str] = []
    for file in (project / "molecule").glob("*/inventory/hosts.yml"):
        names += _hosts(yaml.safe_load(file.read_text(encoding="utf-8")))
    assert len(names) >= 4
    assert sorted(set(names)) == sorted(names)


def _hosts(groups: dict[str, dict[str, dict[str, object]]]) -> set[str]:
    found: set[str] = set()
    for group in groups.values():
        found |= set(group.get("hosts") or {})
        found |= _hosts(group.get("children") or {})  # type: ignore[arg-type]
    return found


def test_output_is_shown_as_it_comes_and_as_a_whole_after_a_failure(start: Start) -> None:
    process = start(
        "def test_good(stream): assert stream('echo', 'all well') == 0\n"
        "def test_bad(stream): assert stream('sh', '-c', 'echo one; echo two >&2; exit 3') == 0\n"
    )
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "test_good | all well\n" in err
    assert "test_bad | one\ntest_bad | two\n" in err
    assert "2 workers [2 items]" in out
    assert "\none\ntwo\n" in out
    assert "all well" not in out
    assert "1 failed, 1 passed" in out.splitlines()[-1]


@pytest.mark.parametrize(
    ("given", "workers"),
    [({}, 2), ({"capture": "no"}, 0), ({"maxfail": 1}, 0), ({"usepdb": True}, 0), ({"trace": True}, 0)],
    ids=["none", "-s", "-x", "--pdb", "--trace"],
)
def test_who_wants_one_test_at_a_time_gets_it(
    given: dict[str, object], workers: int, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    for name, value in ({"capture": "fd", "maxfail": 0, "usepdb": False, "trace": False} | given).items():
        # One that pytest does not have would be found missing.
        monkeypatch.setattr(pytestconfig.option, name, value, raising=True)
    assert pytest_xdist_auto_num_workers(pytestconfig) == workers


@pytest.mark.parametrize("whole_group", [True, False], ids=["the whole group, as Ctrl-C does", "pytest alone"])
def test_an_interruption_ends_everything(start: Start, tmp_path: Path, whole_group: bool) -> None:
    process = start(f"def test_long(stream): stream('sh', '-c', 'echo $$ >{tmp_path}/pid; sleep 300; true')\n")
    end = time.monotonic() + 30
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert time.monotonic() < end
        time.sleep(0.1)
    group = int((tmp_path / "pid").read_text())
    (os.killpg if whole_group else os.kill)(process.pid, signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 2
    for gone in (group, process.pid):
        with pytest.raises(ProcessLookupError):
            os.killpg(gone, 0)

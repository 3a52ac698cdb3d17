"""What a roll-out keeps of a host and puts back (roles/rollout/files/rollout.py), who it takes when (its filters), and what it says at the end."""

import http.server
import importlib.util
import json
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parent.parent
SITE = "opt/hailo-whisper/venv/lib/python3.11/site-packages"
UNIT = "usr/lib/systemd/system/hailo-whisper.service"
FILES = {
    f"{SITE}/hailo_whisper-1.0.dist-info/METADATA": "",
    f"{SITE}/hailo_whisper/server.py": "one",
    "opt/hailo-whisper/installed": "program one\n",
    UNIT: "[Service]\n",
    "etc/hailo/hailo-whisper.yaml": "port: 1\n",
    "etc/hailo/hailo-whisper.keys": "default:sk-which-nobody-is-to-see\n",
    "var/lib/hailo-whisper/models/base/manifest.json": json.dumps({"files": {"model.bin": {"size": 1, "sha256": "ab"}}}),
}
SAY = '#!/bin/sh\necho "$(basename "$0") $*" >>"{log}"\n{lines}\n'


class Host:
    """A machine that is a folder."""

    def __init__(self, root: Path, program: Path) -> None:
        self.root, self._program = root, program
        for name, text in FILES.items():
            self.write(name, text)
        self.program("systemctl", '[ "$1" = is-active ] && echo active')
        self.program("hailo-whisper", "echo unchanged /etc/xdg", f"{root}/opt/hailo-whisper/venv/bin")

    def program(self, name: str, lines: str, folder: str = "") -> None:
        path = Path(folder or f"{self.root}/usr/bin") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(SAY.format(log=self.root / "log", lines=lines))
        path.chmod(0o755)

    def write(self, name: str, text: str) -> Path:
        """A file, which is another one than it was, as pip writes it."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text)
        return path

    def read(self, name: str) -> str:
        return (self.root / name).read_text()

    def install(self, version: str) -> None:
        """Another version into the environment that is there."""
        (self.root / SITE / "hailo_whisper-1.0.dist-info").rename(self.root / SITE / f"hailo_whisper-{version}.dist-info")
        self.write(f"{SITE}/hailo_whisper/server.py", version)
        self.write("opt/hailo-whisper/installed", f"program {version}\n")
        self.write(UNIT, f"# {version}\n")
        self.write("usr/lib/systemd/system/hailo-whisper-more.service", "")
        self.write("etc/hailo/hailo-whisper.yaml", "port: 2\n")

    def install_again(self, old: str, version: str) -> None:
        """Without a roll-out."""
        (self.root / SITE / f"hailo_whisper-{old}.dist-info").rename(self.root / SITE / f"hailo_whisper-{version}.dist-info")

    def call(self, command: str, **options: Any) -> Any:
        done = self.refused(command, **options)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def refused(self, command: str, **options: Any) -> "subprocess.CompletedProcess[str]":
        argv = [sys.executable, str(self._program), command, json.dumps({"root": str(self.root), "ask_apt": False} | options)]
        return subprocess.run(argv, capture_output=True, text=True, check=False)

    @property
    def ledger(self) -> Any:
        return json.loads(self.read("var/lib/hailo-whisper/rollout.json"))


@pytest.fixture
def host(project: Path, tmp_path: Path) -> Host:
    return Host(tmp_path / "root", project / "roles/rollout/files/rollout.py")


def test_an_environment_comes_back_with_its_configuration_and_units(host: Host) -> None:
    found = host.call("look")
    assert (found["version"], found["method"], found["snapshot"], found["unfinished"]) == ("1.0", "venv", None, False)
    host.call("begin", entry={"to": "2.0"})
    snapshot = host.root / "var/lib/hailo-whisper/rollback"
    assert (snapshot.stat().st_mode & 0o777, (snapshot / "snapshot.json").stat().st_mode & 0o777) == (0o700, 0o600)
    assert "sk-which" not in (snapshot / "snapshot.json").read_text()
    host.install("2.0")
    host.write("etc/hailo/hailo-whisper.keys", "other:sk-another\n")
    assert host.call("look")["unfinished"]
    foreseen = host.call("back", check=True)
    assert host.read(f"{SITE}/hailo_whisper/server.py") == "2.0"
    told = host.call("back", check=True, diff=True)["diff"]
    assert told[:2] == ["--- /etc/hailo/hailo-whisper.yaml (now)", "+++ /etc/hailo/hailo-whisper.yaml (of 1.0)"]
    assert len(told) > 3
    assert not [line for line in told if "sk-" in line], "no key"
    done = host.call("back")
    assert done == foreseen
    assert done["version"] == "1.0"
    assert set(done["changed"]) == {
        "/opt/hailo-whisper/venv",
        "/opt/hailo-whisper/installed",
        "/etc/hailo/hailo-whisper.yaml",
        f"/{UNIT}",
        "/usr/lib/systemd/system/hailo-whisper-more.service",
    }
    for name in (f"{SITE}/hailo_whisper/server.py", "opt/hailo-whisper/installed", UNIT, "etc/hailo/hailo-whisper.yaml"):
        assert host.read(name) == FILES[name]
    assert not (host.root / "usr/lib/systemd/system/hailo-whisper-more.service").exists()
    assert host.read("etc/hailo/hailo-whisper.keys") == "other:sk-another\n", "a key that was taken back stays so"
    assert "systemctl restart --no-block hailo-whisper.service" in host.read("log")
    # Again and again is as good as once, and then there is nothing to restart for.
    (host.root / "log").unlink()
    assert host.call("back")["changed"] == []
    assert "restart" not in host.read("log")


def test_a_roll_out_that_was_cut_off_keeps_the_snapshot_of_before(host: Host) -> None:
    host.call("begin", entry={"to": "2.0", "drained": ["tower"]})
    host.install("2.0")
    assert host.call("begin", entry={"to": "3.0"})["from"] == "1.0"
    host.call("end", entry={"outcome": "rolled back", "reason": "no"})
    assert (host.ledger["outcome"], host.ledger["to"], host.ledger["reason"]) == ("rolled back", "3.0", "no")
    assert [each["to"] for each in host.ledger["earlier"]] == ["2.0"]
    # What has come to an end is not gone back beyond.
    assert host.call("begin", entry={"to": "4.0"})["from"] == "2.0"


def test_a_version_that_was_installed_since_is_not_gone_back_beyond(host: Host) -> None:
    host.call("begin", entry={"to": "2.0"})
    host.call("end", entry={"outcome": "failed"})
    host.install("3.0")
    found = host.call("look")
    assert (found["unfinished"], found["since"]) == (False, ["hailo-whisper 3.0"])
    assert host.call("begin", entry={"to": "4.0"})["from"] == "3.0"


def test_one_that_goes_on_with_another_may_find_either_version(host: Host) -> None:
    host.call("begin", entry={"to": "2.0"})
    host.install("2.0")
    host.call("begin", entry={"to": "3.0"})
    assert host.call("look")["unfinished"], "the version of the first, on the way to that of the second"
    assert host.call("begin", entry={"to": "4.0"})["from"] == "1.0"


def test_a_package_that_dpkg_has_begun_with_is_unfinished(host: Host) -> None:
    host.program("dpkg-query", f'cat "{host.root}/status"')
    host.program("dpkg-deb", 'cat "$3"')
    host.program("dpkg", "")
    host.write("var/lib/hailo-whisper/rollback/one.deb", "hailo-whisper 1.0+deb12u1")
    host.write("status", "hailo-whisper 1.0+deb12u1 installed\n")
    assert host.call("begin", entry={"to": "2.0"})["from"] == "1.0+deb12u1"
    for status, unfinished in {
        "2.0+deb12u1 installed": True,
        "3.0+deb12u1 unpacked": True,
        "2.0.1+deb12u1 installed": False,
    }.items():
        host.write("status", f"hailo-whisper {status}\n")
        assert host.call("look")["unfinished"] == unfinished, status


def test_a_download_that_was_cut_off_is_no_way_back(host: Host) -> None:
    kept = host.root / "var/lib/hailo-whisper/rollback"
    host.program("dpkg-query", "echo hailo-whisper 1.0+deb12u1 installed")
    host.program("dpkg-deb", 'cat "$3"')
    host.program("apt-get", 'echo "hailo-whisper 1.0" >hailo-whisper_1.0.deb; echo "E: The disk is full" >&2; exit 100')
    refused = host.refused("fetch", packages={"hailo-whisper": "1.0+deb12u1"})
    assert refused.returncode == 1
    assert "apt could not download hailo-whisper=1.0+deb12u1: E: The disk is full Let `apt-get update` run here" in refused.stderr
    assert host.call("look")["lacking"] == {"hailo-whisper": "1.0+deb12u1"}
    # On its way from the controller, which is another file system than that of its target.
    host.write("var/lib/hailo-whisper/rollback/.ansible_tmp7hailo-whisper_1.0.deb", "hailo-whisper 1.0+deb12u1")
    assert host.call("look")["lacking"] != {}
    host.program("apt-get", 'echo "hailo-whisper 1.0+deb12u1" >hailo-whisper_1.0.deb')
    assert host.call("fetch", packages={"hailo-whisper": "1.0+deb12u1"}) == {"brought": ["hailo-whisper_1.0.deb"]}
    assert host.call("look")["lacking"] == {}
    assert not (kept / "coming").exists()
    assert host.call("begin", entry={"to": "2.0"})["from"] == "1.0+deb12u1"
    assert [path.name for path in kept.glob("*.deb")] == ["hailo-whisper_1.0.deb"]


def test_what_was_changed_after_a_roll_out_is_named(host: Host) -> None:
    host.call("begin", entry={"to": "2.0"})
    host.install("2.0")
    host.call("end", entry={"outcome": "done"})
    assert host.call("look")["since"] == []
    host.write("etc/hailo/hailo-whisper.yaml", "port: 2\naccess: {keys: /etc/hailo/hailo-whisper.keys}\n")
    host.write("etc/hailo/models.d/mine.yaml", "")
    assert host.call("look")["since"] == ["/etc/hailo/hailo-whisper.yaml", "/etc/hailo/models.d/mine.yaml"]
    host.install_again("2.0", "2.5")
    assert host.call("look")["since"][0] == "hailo-whisper 2.5"


def test_the_ledger_has_the_last_ten(host: Host) -> None:
    for number in range(12):
        host.call("begin", entry={"to": str(number)})
        host.call("end", entry={"outcome": "done"})
    assert [host.ledger["to"], *(each["to"] for each in host.ledger["earlier"])] == [str(number) for number in range(11, 1, -1)]


def test_a_damaged_ledger_or_snapshot_is_none(host: Host) -> None:
    host.write("var/lib/hailo-whisper/rollout.json", "{")
    host.write("var/lib/hailo-whisper/rollback/snapshot.json", '["cut off"')
    found = host.call("look")
    assert (found["ledger"], found["snapshot"]) == ({}, None)
    assert "There is no snapshot to go back to" in host.refused("back").stderr


def test_an_environment_that_is_not_as_it_was_kept_is_not_put_back(host: Host) -> None:
    host.call("begin", entry={"to": "2.0"})
    host.install("2.0")
    (host.root / "opt/hailo-whisper/rollback/lib/python3.11/site-packages/hailo_whisper/server.py").write_text("spoilt")
    refused = host.refused("back")
    assert refused.returncode == 1
    assert "is not as it was kept. Install the version that you want with playbooks/site.yml." in refused.stderr
    assert host.read(f"{SITE}/hailo_whisper/server.py") == "2.0"


def test_a_host_without_the_program_has_no_snapshot(host: Host) -> None:
    (host.root / "opt/hailo-whisper").rename(host.root / "opt/gone")
    assert host.call("look")["method"] == ""
    assert "is not installed here" in host.refused("begin", entry={}).stderr


def test_a_model_that_is_gone_is_named(host: Host) -> None:
    host.call("begin", entry={"to": "2.0"})
    (host.root / "var/lib/hailo-whisper/models/base/manifest.json").unlink()
    assert host.call("back")["models"] == ["base"]


def test_a_configuration_that_is_not_taken_is_said(host: Host) -> None:
    host.program("hailo-whisper", "echo no such key >&2; exit 1", f"{host.root}/opt/hailo-whisper/venv/bin")
    host.call("begin", entry={"to": "2.0"})
    host.write("etc/hailo/hailo-whisper.yaml", "port: 2\n")
    assert "The configuration was put back, and is not taken: no such key Mend it" in host.refused("back").stderr


def test_a_changed_socket_is_restarted_before_its_service(host: Host) -> None:
    socket = "usr/lib/systemd/system/hailo-whisper.socket"
    host.write(socket, "one")
    host.call("begin", entry={"to": "2.0"})
    host.write(socket, "two")
    host.call("back")
    said = [line for line in host.read("log").splitlines() if "stop" in line or "restart" in line]
    assert said == [
        "systemctl stop hailo-whisper.service",
        "systemctl restart hailo-whisper.socket",
        "systemctl restart --no-block hailo-whisper.service",
    ]


def loaded(path: Path) -> ModuleType:
    specification = importlib.util.spec_from_file_location(f"loaded_{path.parent.name}_{path.stem}", path)
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def filters(project: Path) -> dict[str, Callable[..., Any]]:
    found: dict[str, Callable[..., Any]] = loaded(project / "plugins/filter/rollout.py").FilterModule().filters()
    return found


def test_who_goes_first_and_who_together(filters: dict[str, Callable[..., Any]]) -> None:
    names, groups = ["a", "b", "c", "d"], {"lab": ["d", "b"]}
    assert filters["rollout_chosen"](names, groups, 2, names) == {"hosts": ["a", "b"], "away": [], "unknown": []}
    assert filters["rollout_chosen"](names, groups, "0", names) == {"hosts": [], "away": [], "unknown": []}
    assert filters["rollout_chosen"](names, groups, "lab", names) == {"hosts": ["b", "d"], "away": [], "unknown": []}
    assert filters["rollout_chosen"](names, groups, ["c", "x"], names) == {"hosts": ["c"], "away": [], "unknown": ["x"]}
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
        {"item": "tower", "stdout": json.dumps([{"name": "my-kitchen", "state": "drain"}])},
        {"item": "cellar", "stdout": json.dumps([{"name": "my-kitchen", "state": "down"}])},
    ]
    assert filters["rollout_drainable"](asked, "my kitchen", []) == ["cellar"]
    assert filters["rollout_drainable"](asked, "my kitchen", ["tower"]) == ["tower", "cellar"]
    assert filters["rollout_drainable"](asked, "office", []) == []


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


def test_the_summary(project: Path) -> None:
    plugin = loaded(project / "plugins/callback/rollout_summary.py")
    good = plugin.GOOD["rollout.yml"]
    hosts = {
        "a": {"from": "1", "to": "2", "outcome": "done", "why": ""},
        "b": {"from": "1", "to": "2", "outcome": "failed", "why": "no room"},
        "c": {"from": "1", "to": "2", "outcome": "under way", "why": ""},
    }
    rows = plugin.rows(hosts, {"c": 1, "d": 1}, {"c": "No route to host", "d": "No route to host", "e": "Too little memory."})
    assert plugin.table(rows, good) == [
        "HOST  FROM  TO  OUTCOME",
        "a     1     2   done",
        "b     1     2   failed",
        "c     1     2   lost",
        "d     -     -   not reached",
        "e     -     -   refused",
        "b: no room",
        "c: No route to host",
        "d: No route to host",
        "e: Too little memory.",
        "b: mend it, then run playbooks/rollback.yml or the same roll-out with --limit b; it stays drained at the gateway until then.",
        "c: when it can be reached again, run the same again, which finishes it, or playbooks/rollback.yml, with --limit c.",
        "1 of 5 as they should be. STOPPED: see above.",
    ]
    assert plugin.closing(plugin.rows({"a": hosts["a"]}, {"d": 1}, {}), good) == (
        "1 of 2 as they should be, and 1 could not be reached: run the same again when they can."
    )
    assert plugin.closing(plugin.rows({"a": hosts["a"]}, {}, {}), good) == "1 of 1 as they should be."


def test_what_a_task_says_of_its_failure(project: Path) -> None:
    told = loaded(project / "plugins/callback/rollout_summary.py").told
    assert told({"msg": "No\nroute."}) == "No route."
    items = [{"msg": "All is well"}, {"failed": True, "msg": "this one"}, {"failed": True, "msg": "that one"}]
    assert told({"msg": "One or more items failed", "results": items}) == "this one"
    assert told({"results": [{"unreachable": True, "msg": "Nobody is there"}]}) == "Nobody is there"
    assert told({}) == ""


class Hearing(http.server.BaseHTTPRequestHandler):
    """A service that hears right as often as `right` says, and then something else."""

    right = 3

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        type(self).right -= 1
        clip = PROJECT / "app/src/hailo_whisper/data/clip.txt"
        body = json.dumps({"text": clip.read_text() if self.right >= 0 else "Nothing of the kind."}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_who_is_watched_is_asked_until_an_answer_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Hearing, "right", 3)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hearing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def heard(*more: str) -> Any:
            program = PROJECT / "roles/service/files/transcribe.py"
            done = subprocess.run(
                [sys.executable, program, f"http://127.0.0.1:{server.server_address[1]}", "/nowhere", *more],
                env={"PYTHONPATH": str(PROJECT / "app/src")},
                capture_output=True,
                text=True,
                check=True,
            )
            return json.loads(done.stdout)

        assert heard()["missing"] == []
        assert len(heard("200", "0.01")["missing"]) > 1
        assert Hearing.right == -1, "three were right, and the first wrong one was the last"
        monkeypatch.setattr(Hearing, "right", 1000)
        assert heard("0.3", "0.1")["missing"] == []
        assert Hearing.right < 999
        server.shutdown()


def test_pip_and_venv_write_into_no_file_that_is_kept(host: Host, tmp_path: Path) -> None:
    """The environment is kept by links to its files, which the next installation must not change."""
    tree = host.root / "opt/hailo-whisper/venv"
    shutil.rmtree(tree)
    subprocess.run([sys.executable, "-m", "venv", tree], check=True)

    def install(version: str) -> None:
        wheel = tmp_path / f"hailo_whisper-{version}-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            inside = f"hailo_whisper-{version}.dist-info"
            archive.writestr("hailo_whisper/server.py", version)
            archive.writestr(f"{inside}/METADATA", f"Metadata-Version: 2.1\nName: hailo-whisper\nVersion: {version}\n")
            archive.writestr(f"{inside}/WHEEL", "Wheel-Version: 1.0\nGenerator: us\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{inside}/entry_points.txt", "[console_scripts]\nhailo-whisper = hailo_whisper.server:main\n")
            archive.writestr(f"{inside}/RECORD", "")
        pip = [
            str(tree / "bin/python"),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-index",
            "--no-deps",
            "--force-reinstall",
            str(wheel),
        ]
        subprocess.run(pip, check=True)
        # What is put back is asked to render the configuration.
        host.program("hailo-whisper", "echo unchanged /etc/xdg", f"{tree}/bin")

    install("1.0")
    host.call("begin", entry={"to": "2.0"})
    (server,) = tree.glob("lib/python3*/site-packages/hailo_whisper/server.py")
    assert server.stat().st_nlink == 2, "it takes no room"
    (tree / "bin/hailo-whisper").unlink()
    install("2.0")
    assert host.call("look")["version"] == "2.0"
    subprocess.run([sys.executable, "-m", "venv", "--clear", tree], check=True)
    assert host.call("back")["version"] == "1.0"
    assert host.call("look")["version"] == "1.0"
    assert server.read_text() == "1.0"

"""The fact of a machine, and the report that playbooks/report.yml makes of a fleet's."""

import http.server
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_run import ansible_playbook
from loading import loaded

SUM = "8e9a" * 16
SETTINGS = {
    "model": {"name": "base", "fallback": []},
    "server": {"host": "0.0.0.0", "port": 11437},
    "resource_limits": {"memory_max": "2G"},
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The root of a machine that was deployed, as far as the fact looks at it."""
    files = {
        "opt/hailo-whisper/installed": "python 3.11 lock 0\n",
        "opt/hailo-whisper/venv/lib/python3.11/site-packages/hailo_whisper-1.2.dist-info/METADATA": "",
        "etc/xdg/hailo-whisper/hailo-whisper.json": json.dumps(SETTINGS | {"storage": {"models": "/srv/models"}}),
        "srv/models/base/manifest.json": json.dumps(
            {"files": {"model.bin": {"size": 9, "sha256": SUM}, "config.json": {"size": 2, "sha256": "00"}}}
        ),
        "srv/models/.partial/manifest.json": "{}",
        "srv/models/broken/manifest.json": "{",
        # Of packages: where the store has its own, that is the one.
        "usr/share/hailo-whisper/models/tiny.en/manifest.json": json.dumps({"files": {"model.bin": {"size": 9, "sha256": SUM}}}),
        "usr/share/hailo-whisper/models/base/manifest.json": json.dumps({"files": {"model.bin": {"size": 9, "sha256": "00"}}}),
        "sys/bus/pci/devices/0000:01:00.0/vendor": "0x1e60\n",
        "sys/bus/pci/devices/0000:01:00.0/device": "0x45c4\n",
        "sys/module/hailo1x_pci/version": "5.1.1\n",
        "var/lib/hailo-whisper/rollout.json": '{"to": "1.2", "outcome": "done", "time": "2026-11-20T09:12:40Z"}',
    }
    for name, text in files.items():
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "root"


@pytest.fixture
def systemctl(tmp_path: Path) -> Path:
    """A systemctl that says what is in the file `active`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "active").write_text("inactive\n")
    (folder / "systemctl").write_text(f"#!/bin/sh\ncat {folder}/active\n")
    (folder / "systemctl").chmod(0o755)
    return folder


def fact(project: Path, root: Path, path: str) -> dict[str, Any]:
    began = time.monotonic()
    done = subprocess.run(
        [project / "packaging/facts/hailo_whisper.fact", root],
        env={"PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert time.monotonic() - began < 30
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


class Service(http.server.BaseHTTPRequestHandler):
    """What hailo-whisper answers, or some other program that has its port."""

    answers: dict[str, tuple[int, bytes]]

    def do_GET(self) -> None:
        code, body = self.answers[self.path]
        self.send_response(code)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def service(root: Path, systemctl: Path) -> Iterator[type[Service]]:
    class Answers(Service):
        pass

    Answers.answers = {"/health": (200, b'{"status": "ok", "version": "1.1"}')}
    (systemctl / "active").write_text("active\n")
    with http.server.HTTPServer(("127.0.0.1", 0), Answers) as server:
        settings = SETTINGS | {"server": {"host": "0.0.0.0", "port": server.server_port}}
        (root / "etc/xdg/hailo-whisper/hailo-whisper.json").write_text(json.dumps(settings))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Answers
        server.shutdown()
        thread.join()


def test_a_machine_tells_what_it_has(project: Path, root: Path, systemctl: Path) -> None:
    os.utime(root / "opt/hailo-whisper/installed", (1_700_000_000, 1_700_000_000))
    facts = fact(project, root, f"{systemctl}:/usr/bin:/bin")
    told = facts.pop("service")
    assert facts.pop("settings")["model"]["name"] == "base"
    assert facts == {
        "version": "1.2",
        "method": "venv",
        "installed": "2023-11-14T22:13:20Z",
        "accelerator": {"kind": "hailo", "name": "Hailo-10H", "driver": "5.1.1"},
        "models": {"base": SUM, "broken": None, "tiny.en": SUM},
        "last_rollout": {"to": "1.2", "outcome": "done", "time": "2026-11-20T09:12:40Z"},
    }
    assert told["status"] == "stopped"
    assert told["reason"].startswith("The service is inactive: `journalctl -u hailo-whisper` says why")


def test_a_package_and_a_gpu(project: Path, root: Path, systemctl: Path) -> None:
    for name, text in {
        "var/lib/dpkg/info/hailo-whisper.list": "/.\n/opt/hailo-whisper\n",
        "sys/bus/pci/devices/0000:01:00.0/vendor": "0x10de\n",
        "sys/bus/pci/devices/0000:01:00.0/class": "0x030000\n",
        "sys/module/nvidia/version": "550.1\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    facts = fact(project, root, f"{systemctl}:/usr/bin:/bin")
    assert facts["method"] == "deb"
    assert facts["accelerator"] == {"kind": "nvidia", "name": "NVIDIA", "driver": "550.1"}
    (root / "sys/bus/pci/devices/0000:01:00.0/class").write_text("0x040300\n")
    assert fact(project, root, f"{systemctl}:/usr/bin:/bin")["accelerator"]["kind"] == "cpu"


def test_a_package_that_was_removed_and_not_purged_is_not_the_way(project: Path, root: Path, systemctl: Path) -> None:
    """dpkg remembers its configuration; the program is that of the other method."""
    listed = root / "var/lib/dpkg/info/hailo-whisper.list"
    listed.parent.mkdir(parents=True)
    listed.write_text("/.\n/etc\n/etc/hailo\n/etc/hailo/hailo-whisper.yaml\n")
    os.utime(listed, (1, 1))
    facts = fact(project, root, f"{systemctl}:/usr/bin:/bin")
    assert facts["method"] == "venv"
    assert facts["installed"] > "2000"


def test_nothing_makes_it_fail(project: Path, tmp_path: Path, root: Path) -> None:
    facts = fact(project, tmp_path / "nonesuch", "/nonesuch")
    assert facts["version"] is facts["method"] is facts["service"] is None
    assert facts["models"] == facts["settings"] == {}
    for path in [path for path in root.rglob("*") if path.is_file()]:
        path.write_bytes(b"\xff\x00 no JSON")
    broken = fact(project, root, "/nonesuch")
    assert broken["settings"] == {}
    assert broken["last_rollout"] is None


def test_a_service_that_runs_is_asked(project: Path, root: Path, systemctl: Path, service: type[Service]) -> None:
    path = f"{systemctl}:/usr/bin:/bin"
    service.answers["/health/ready"] = (503, b'{"status": "failed", "reason": "No model.", "model": "base"}')
    told = fact(project, root, path)["service"]
    assert told == {"ready": False, "version": "1.1", "status": "failed", "reason": "No model.", "model": "base"}
    service.answers["/health/ready"] = (200, b"<html>")
    assert fact(project, root, path)["service"]["status"] == "silent"


def test_a_service_that_does_not_answer(project: Path, root: Path, systemctl: Path) -> None:
    (systemctl / "active").write_text("active\n")
    settings = {"server": {"host": "127.0.0.1", "port": 1}}
    (root / "etc/xdg/hailo-whisper/hailo-whisper.json").write_text(json.dumps(settings))
    told = fact(project, root, f"{systemctl}:/usr/bin:/bin")["service"]
    assert told["status"] == "silent"
    assert "refused" in told["reason"]


@pytest.fixture(scope="module")
def report() -> Any:
    """The plugin."""
    path = Path(__file__).resolve().parent.parent / "plugins/filter/report.py"
    return loaded(path)


def host(**more: Any) -> dict[str, Any]:
    """The variables of a host that is as it should be; `service`, `settings` and the like change what its fact says."""
    inventory: dict[str, Any] = more.pop("inventory", {})
    facts = {
        "version": "1.2",
        "method": "venv",
        "installed": "2026-11-20T09:12:44Z",
        "accelerator": {"kind": "cpu", "name": "CPU", "driver": None},
        "models": {"base": SUM},
        "settings": SETTINGS,
        "service": {"status": "ready", "version": "1.2", "engine": "ctranslate2", "model": "base", "fallback_for": None},
    }
    return inventory | {"report_asked": {"ansible_facts": {"ansible_local": {"hailo_whisper": facts | more}}}}


def test_a_machine_as_it_should_be(report: Any) -> None:
    inventory = {"hailo_whisper_config": {"server": {"host": "0.0.0.0"}, "resource_limits": {"memory_max": "2G"}, "model": None}}
    rows = report.rows(["kitchen"], {"kitchen": host(inventory=inventory)}, "1.2")
    assert (rows[0]["state"], rows[0]["reason"], rows[0]["drifts"]) == ("ready", None, [])
    assert report.table(rows) == [
        "HOST     STATE  VERSION  METHOD  ACCELERATOR  DRIVER  ENGINE       MODEL  SUM           INSTALLED             LAST ROLL-OUT",
        "kitchen  ready  1.2      venv    CPU          -       ctranslate2  base   8e9a8e9a8e9a  2026-11-20T09:12:44Z  -",
        "1 of 1 ready, 0 not as the inventory has them.",
    ]


def test_the_last_roll_out_is_in_the_table_and_on_the_page(report: Any) -> None:
    ledger = {"from": "1.1", "to": "1.2", "outcome": "done", "time": "2026-11-20T09:12:40Z", "drained": []}
    hosts = {"kitchen": host(last_rollout=ledger), "office": host(last_rollout={"to": "<b>"}), "attic": {}}
    rows = report.rows(hosts, hosts, "1.2")
    assert [row["rollout"] for row in rows] == ["1.2, done, 2026-11-20T09:12:40Z", "<b>, -, -", None]
    assert [row["drifts"] for row in rows] == [[], [], []]
    said = report.table(rows)
    assert said[0].endswith("  LAST ROLL-OUT")
    assert said[1].endswith("  1.2, done, 2026-11-20T09:12:40Z")
    page = report.page(rows, "now")
    assert "<th>last roll-out</th>" in page
    assert "<td>1.2, done, 2026-11-20T09:12:40Z</td>" in page
    assert "<td>&lt;b&gt;, -, -</td>" in page


NOT_READY: dict[str, tuple[dict[str, Any], str, str]] = {
    "failed": (host(service={"status": "failed", "reason": "No\nmodel."}), "not ready", "No model."),
    "stopped": (host(service={"status": "stopped", "reason": "It is inactive."}), "not ready", "It is inactive."),
    "nothing": (host(service=None), "not ready", "Nothing is known of its service."),
    "unreachable": ({"report_asked": {"unreachable": True, "msg": "No route\nto host"}}, "unreachable", "No route to host"),
    "no-fact": (
        {"report_asked": {"ansible_facts": {"ansible_local": {}}}},
        "unknown",
        "It has no fact of hailo-whisper: deploy it with playbooks/site.yml.",
    ),
    "broken-fact": (
        {"report_asked": {"ansible_facts": {"ansible_local": {"hailo_whisper": "error loading facts"}}}},
        "unknown",
        "error loading facts",
    ),
    "failed-setup": ({"report_asked": {"failed": True, "msg": "Missing sudo password"}}, "unknown", "Missing sudo password"),
    "not-asked": ({}, "unknown", "It has no fact of hailo-whisper: deploy it with playbooks/site.yml."),
}


@pytest.mark.parametrize("case", NOT_READY)
def test_what_is_not_ready_and_why(report: Any, case: str) -> None:
    variables, state, reason = NOT_READY[case]
    rows = report.rows(["kitchen"], {"kitchen": variables}, "1.2")
    assert (rows[0]["state"], rows[0]["reason"]) == (state, reason)
    assert report.table(rows)[-2] == f"kitchen: {reason}"


DRIFTS: dict[str, tuple[dict[str, Any], str]] = {
    "version": (host(version="1.1"), "It has version 1.1, and the inventory's is 1.2."),
    "running": (host(service={"status": "ready", "version": "1.1"}), "It still runs version 1.1: restart it."),
    "method": (host(inventory={"hailo_whisper_install_method": "deb"}), "It was installed by venv, and the inventory says deb."),
    "model": (host(inventory={"hailo_whisper_model": "small"}), "model.name is base, and the inventory says small."),
    "setting": (
        host(inventory={"hailo_whisper_config": {"server": {"port": 8080}}}),
        "server.port is 11437, and the inventory says 8080.",
    ),
    "new-setting": (
        host(inventory={"hailo_whisper_config": {"engine": {"kind": "auto"}}}),
        "engine.kind is not set, and the inventory says auto.",
    ),
    "stand-in": (
        host(
            service={"status": "ready", "version": "1.2", "model": "tiny", "fallback_for": "base", "reason": "base is damaged."}
        ),
        "tiny stands in for base: base is damaged.",
    ),
    "engine": (
        host(
            service={
                "status": "ready",
                "version": "1.2",
                "engine": "ctranslate2",
                "engine_fallback_for": "hailo",
                "reason": "No device.",
            }
        ),
        "ctranslate2 stands in for hailo: No device.",
    ),
    "failed-roll-out": (
        host(last_rollout={"to": "1.3", "outcome": "failed", "reason": "Install: no room.", "drained": ["tower"]}),
        "Its roll-out to 1.3 failed, and so did the way back: Install: no room.",
    ),
    "roll-out-without-end": (
        host(last_rollout={"to": "1.3", "outcome": "under way", "drained": ["tower"]}),
        "Its roll-out to 1.3 has no end: it is under way, or was cut off. The same again finishes it.",
    ),
    "still-drained": (
        host(last_rollout={"to": "1.3", "outcome": "rolled back", "drained": ["tower", "cellar"]}),
        "Its roll-out to 1.3 has left it drained at tower, cellar, unless somebody has put it back by hand since: the next one puts it back and "
        "notes that, or playbooks/rollback.yml does.",
    ),
}


@pytest.mark.parametrize("case", DRIFTS)
def test_what_drifts(report: Any, case: str) -> None:
    variables, sentence = DRIFTS[case]
    rows = report.rows(["kitchen"], {"kitchen": variables}, "1.2")
    assert sentence in rows[0]["drifts"]
    assert "1 not as the inventory has them." in report.table(rows)[-1]


PACKAGES = {"hailo_whisper_install_method": "deb"}
VERSIONS: dict[str, tuple[dict[str, Any], str, list[str]]] = {
    "of-the-tree": ({}, "1.2", []),
    "pinned": (PACKAGES | {"hailo_whisper_version": "1.1"}, "1.1", []),
    "pinned-to-a-build": (PACKAGES | {"hailo_whisper_version": "1.1+deb12u1"}, "1.1", []),
    "not-the-pinned": (
        PACKAGES | {"hailo_whisper_version": "1.1"},
        "1.2",
        ["It has version 1.2, and the inventory's is 1.1."],
    ),
    "the-newest-that-there-was": (PACKAGES, "1.1", []),
    # By the method venv the role refuses any other than that of the tree.
    "the-tree-goes-before-a-pin-without-packages": (
        {"hailo_whisper_version": "1.1"},
        "1.1",
        ["It has version 1.1, and the inventory's is 1.2."],
    ),
}


@pytest.mark.parametrize("case", VERSIONS)
def test_the_version_that_the_inventory_means(report: Any, case: str) -> None:
    inventory, has, drifts = VERSIONS[case]
    service = {"status": "ready", "version": has, "model": "base"}
    method = inventory.get("hailo_whisper_install_method", "venv")
    rows = report.rows(["a"], {"a": host(inventory=inventory, version=has, method=method, service=service)}, "1.2")
    assert rows[0]["drifts"] == drifts


def test_of_packages_without_a_pin_another_version_than_most(report: Any) -> None:
    def packaged(version: str, **pin: str) -> dict[str, Any]:
        return host(inventory=PACKAGES | pin, method="deb", version=version, service={"status": "ready", "model": "base"})

    hosts = {
        "a": packaged("1.1"),
        "b": packaged("1.1"),
        "c": packaged("1.0"),
        "d": packaged("0.9", hailo_whisper_version="0.9"),
        "e": {"report_asked": {"unreachable": True}},
    }
    drifts = {row["host"]: row["drifts"] for row in report.rows(hosts, hosts, "1.2") if row["drifts"]}
    assert drifts == {"c": ["It has version 1.0, and most machines for which the inventory names none have 1.1."]}


def test_other_weights_than_most(report: Any) -> None:
    hosts = {
        "a": host(),
        "b": host(),
        "c": host(models={"base": "00" * 32}),
        "d": host(accelerator={"name": "Hailo"}, models={"base": "11" * 32}),
    }
    drifts = {row["host"]: row["drifts"] for row in report.rows(hosts, hosts, "1.2")}
    assert drifts == {
        "a": [],
        "b": [],
        "c": ["Its weights of base are 000000000000, and those of most machines 8e9a8e9a8e9a."],
        "d": [],
    }


def test_the_page_runs_nothing_that_a_host_says(report: Any) -> None:
    evil = "<script>alert('x')</script>"
    hosts = {evil: host(version=evil, service={"status": "failed", "reason": evil, "model": f'"{evil}'})}
    page = report.page(report.rows(hosts, hosts, "1.2"), evil)
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 6


def test_the_playbook_reports_on_who_is_there_and_who_is_not(project: Path, tmp_path: Path, root: Path) -> None:
    folder, facts = tmp_path / "report", tmp_path / "facts"
    facts.mkdir()
    hosts: dict[str, Any] = {
        "here": {"ansible_connection": "local"},
        # Nobody listens there.
        "gone": {"ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_connection": "ssh"},
    }
    (facts / "hailo_whisper.fact").write_text(
        f"#!/bin/sh\nPATH=/nonesuch exec {project}/packaging/facts/hailo_whisper.fact {root}\n"
    )
    (facts / "hailo_whisper.fact").chmod(0o755)
    (tmp_path / "hosts.yml").write_text(json.dumps({"hailo_whisper": {"hosts": hosts}}))

    def run(**variables: Any) -> "subprocess.CompletedProcess[str]":
        chosen = {"hailo_whisper_report_folder": str(folder), "report_facts": str(facts)} | variables
        given = ("playbooks/report.yml", "--extra-vars", json.dumps(chosen))
        return ansible_playbook("--inventory", tmp_path / "hosts.yml", *given)

    done = run()
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {row["host"]: row for row in json.loads((folder / "report.json").read_text())["hosts"]}
    assert {name: row["state"] for name, row in rows.items()} == {"here": "not ready", "gone": "unreachable"}
    assert rows["here"]["facts"]["models"]["base"] == SUM
    assert "refused" in rows["gone"]["reason"]
    assert "0 of 2 ready" in done.stdout
    page = (folder / "report.html").read_text()
    assert "<td>unreachable</td>" in page
    assert "<td>1.2, done, 2026-11-20T09:12:40Z</td>" in page
    # Each line of the table is one.
    shown = [line.strip() for line in done.stdout.splitlines()]
    assert [line for line in shown if line.startswith("HOST ") and line.endswith(" LAST ROLL-OUT")]
    assert [line for line in shown if line.startswith("here ") and line.endswith(" 1.2, done, 2026-11-20T09:12:40Z")]
    strict = run(hailo_whisper_report_strict=True)
    assert strict.returncode != 0
    assert "The table above says which, and why." in " ".join(strict.stdout.split())

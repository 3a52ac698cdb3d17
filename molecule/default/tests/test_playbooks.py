"""The playbooks on machines that are deployed already."""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import testinfra
from testinfra.host import Host

from service import INVENTORY, KEY_FILE, Service, run_playbook

# A run takes both machines at once where their release or how they are reached may matter, and one of them otherwise: each takes a while.
ONE = "hailo-whisper-debian12"
BOTH = (ONE, "hailo-whisper-debian13")


@pytest.fixture
def one() -> Iterator[Service]:
    """The service of the one machine."""
    service = Service(ONE)
    yield service
    service.client.close()


@pytest.fixture
def machine() -> Host:
    """That machine from inside."""
    return testinfra.get_host(f"podman://{ONE}")


def playbook(name: str, *arguments: str, machines: tuple[str, ...] = (ONE,)) -> "subprocess.CompletedProcess[str]":
    return run_playbook(INVENTORY, ",".join(machines), name, *arguments)


def plain(said: str) -> str:
    """What Ansible says, without the colours that molecule asks for."""
    return re.sub(r"\x1b\[[0-9;]*m", "", said)


def changes(said: str) -> dict[str, int]:
    """How many changes there were on which machine, as Ansible says at the end."""
    return {name: int(number) for name, number in re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+) ", plain(said), re.MULTILINE)}


def test_check_mode_finds_nothing_to_change() -> None:
    done = playbook("site.yml", "--check", "--diff", "-vv", machines=BOTH)
    assert done.returncode == 0, done.stdout + done.stderr
    changed = [line for line in done.stdout.splitlines() if line.startswith(("changed:", "TASK")) or "changed=" in line]
    assert changes(done.stdout) == dict.fromkeys(BOTH, 0), changed
    # It says where the keys lie, and none of them.
    assert " ".join(plain(done.stdout).split()).count(f"Its API keys lie in {KEY_FILE} there") == len(BOTH)
    for name in BOTH:
        key = Service(name).key
        assert len(key) > 8
        assert key not in done.stdout + done.stderr


def test_verify_prints_what_was_heard() -> None:
    done = playbook("verify.yml", machines=BOTH)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in BOTH:
        assert f"{name} heard: Unless to be rather" in done.stdout


def test_the_report_has_the_machines_as_the_inventory_does(tmp_path: Path) -> None:
    for name in BOTH:
        Service(name).await_ready()
    done = playbook(
        "report.yml",
        "--extra-vars",
        json.dumps({"hailo_whisper_report_folder": str(tmp_path), "hailo_whisper_report_strict": True}),
        machines=BOTH,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2 ready, 0 not as the inventory has them." in done.stdout
    rows = {row["host"]: row for row in json.loads((tmp_path / "report.json").read_text())["hosts"]}
    assert sorted(rows) == sorted(BOTH)
    page = (tmp_path / "report.html").read_text()
    for name, row in rows.items():
        about = {key: row[key] for key in ("state", "method", "reason", "drifts")}
        assert about == {"state": "ready", "method": "venv", "reason": None, "drifts": []}
        assert row["version"] == row["facts"]["service"]["version"]
        assert re.fullmatch("[0-9a-f]{64}", row["sum"])
        fact = testinfra.get_host(f"podman://{name}").file("/etc/ansible/facts.d/hailo_whisper.fact")
        assert (fact.user, fact.group, oct(fact.mode)) == ("root", "root", oct(0o755))
        assert f"<td>{name}</td>" in page


def test_prometheus_is_installed_and_watches_the_machine(machine: Host, one: Service, tmp_path: Path) -> None:
    """On the machine that has a network to fetch Prometheus by."""
    one.await_ready()
    (tmp_path / "hosts.yml").write_text(json.dumps({"monitoring": {"hosts": {ONE: {"hailo_whisper_monitoring_install": True}}}}))
    inventory = ("--inventory", str(tmp_path / "hosts.yml"))
    done = playbook("monitoring.yml", *inventory, "--extra-vars", "hailo_whisper_monitoring_interval=1s")
    assert done.returncode == 0, done.stdout + done.stderr
    query = f"http://127.0.0.1:9090/api/v1/query?query=hailo_whisper_ready%7Binstance=%22{ONE}%22%7D"
    ask = f"import urllib.request; print(urllib.request.urlopen('{query}').read().decode())"
    end = time.monotonic() + 30
    while not (found := json.loads(machine.check_output(f'python3 -c "{ask}"'))["data"]["result"]):
        assert time.monotonic() < end, "Prometheus has not asked the machine"
        time.sleep(0.5)
    assert found[0]["value"][1] == "1"


def test_a_misspelt_setting_is_refused_and_changes_nothing(machine: Host, one: Service) -> None:
    before = machine.file("/etc/hailo/hailo-whisper.yaml").sha256sum
    done = playbook(
        "site.yml", "--extra-vars", json.dumps({"hailo_whisper_config": {"server": {"host": "0.0.0.0", "prot": 8080}}})
    )
    assert done.returncode != 0
    assert "Did you mean server.port?" in done.stdout + done.stderr
    assert machine.file("/etc/hailo/hailo-whisper.yaml").sha256sum == before
    one.await_ready()


def test_port_and_limits_reach_systemd(machine: Host, one: Service) -> None:
    changed = {"server": {"host": "0.0.0.0", "port": 11500}, "resource_limits": {"memory_max": "2G", "cpu_quota": "150%"}}
    # As an administrator does who has changed nothing else.
    tags = ("--tags", "config,service")
    try:
        done = playbook("site.yml", *tags, "--extra-vars", json.dumps({"hailo_whisper_config": changed}))
        assert done.returncode == 0, done.stdout + done.stderr
        assert one.transcribe(port=11500)
        with pytest.raises(httpx.ConnectError):
            one.transcribe()
        shown = machine.check_output("systemctl show --property=MemoryMax,CPUQuotaPerSecUSec hailo-whisper.service")
        assert set(shown.splitlines()) == {"MemoryMax=2147483648", "CPUQuotaPerSecUSec=1.500000s"}
    finally:
        back = playbook("site.yml", *tags)
    assert back.returncode == 0, back.stdout + back.stderr
    assert one.transcribe()
    shown = machine.check_output("systemctl show --property=MemoryMax,CPUQuotaPerSecUSec hailo-whisper.service")
    assert set(shown.splitlines()) == {"MemoryMax=infinity", "CPUQuotaPerSecUSec=infinity"}


def test_without_root_it_is_refused_before_anything_is_changed() -> None:
    variables = {"ansible_user": "nobody", "ansible_become": False, "ansible_remote_tmp": "/tmp/ansible-nobody"}
    done = playbook("site.yml", "--extra-vars", json.dumps(variables))
    assert done.returncode != 0
    assert f"Root is needed on {ONE}" in done.stdout + done.stderr
    assert changes(done.stdout) == {ONE: 0}

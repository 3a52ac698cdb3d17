"""The playbooks on a machine that is deployed already."""

import json
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from testinfra.host import Host

from service import KEY_FILE, Service

Playbook = Callable[..., "subprocess.CompletedProcess[str]"]


def test_check_mode_finds_nothing_to_change(playbook: Playbook, service: Service) -> None:
    done = playbook("site.yml", "--check", "--diff", "-vv")
    assert done.returncode == 0, done.stdout + done.stderr
    changed = [line for line in done.stdout.splitlines() if line.startswith(("changed:", "TASK")) or "changed=" in line]
    assert " changed=0 " in done.stdout, changed
    # It says where the keys lie, and none of them.
    assert f"Its API keys lie in {KEY_FILE} there" in " ".join(re.sub(r"\x1b\[[0-9;]*m", "", done.stdout).split())
    assert service.key not in done.stdout + done.stderr


def test_verify_prints_what_was_heard(playbook: Playbook) -> None:
    done = playbook("verify.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "heard: Unless to be rather" in done.stdout


def test_the_report_has_the_machine_as_the_inventory_does(
    host: Host, name: str, service: Service, playbook: Playbook, tmp_path: Path
) -> None:
    service.await_ready()
    done = playbook(
        "report.yml",
        "--extra-vars",
        json.dumps({"hailo_whisper_report_folder": str(tmp_path), "hailo_whisper_report_strict": True}),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 ready, 0 not as the inventory has them." in done.stdout
    (row,) = json.loads((tmp_path / "report.json").read_text())["hosts"]
    about = {key: row[key] for key in ("host", "state", "method", "reason", "drifts")}
    assert about == {"host": name, "state": "ready", "method": "venv", "reason": None, "drifts": []}
    assert row["version"] == row["facts"]["service"]["version"]
    assert re.fullmatch("[0-9a-f]{64}", row["sum"])
    fact = host.file("/etc/ansible/facts.d/hailo_whisper.fact")
    assert (fact.user, fact.group, oct(fact.mode)) == ("root", "root", oct(0o755))
    assert f"<td>{name}</td>" in (tmp_path / "report.html").read_text()


def test_prometheus_is_installed_and_watches_the_machine(
    host: Host, name: str, service: Service, playbook: Playbook, tmp_path: Path
) -> None:
    if not name.endswith("debian12"):
        pytest.skip("the other machine has no network to fetch Prometheus by")
    service.await_ready()
    (tmp_path / "hosts.yml").write_text(json.dumps({"monitoring": {"hosts": {name: {"hailo_whisper_monitoring_install": True}}}}))
    command = [
        "monitoring.yml",
        "--inventory",
        str(tmp_path / "hosts.yml"),
        "--extra-vars",
        "hailo_whisper_monitoring_interval=1s",
    ]
    done = playbook(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    query = f"http://127.0.0.1:9090/api/v1/query?query=hailo_whisper_ready%7Binstance=%22{name}%22%7D"
    ask = f"import urllib.request; print(urllib.request.urlopen('{query}').read().decode())"
    end = time.monotonic() + 30
    while not (found := json.loads(host.check_output(f'python3 -c "{ask}"'))["data"]["result"]):
        assert time.monotonic() < end, "Prometheus has not asked the machine"
        time.sleep(0.5)
    assert found[0]["value"][1] == "1"


def test_a_misspelt_setting_is_refused_and_changes_nothing(host: Host, service: Service, playbook: Playbook) -> None:
    before = host.file("/etc/hailo/hailo-whisper.yaml").sha256sum
    done = playbook(
        "site.yml", "--extra-vars", json.dumps({"hailo_whisper_config": {"server": {"host": "0.0.0.0", "prot": 8080}}})
    )
    assert done.returncode != 0
    assert "Did you mean server.port?" in done.stdout + done.stderr
    assert host.file("/etc/hailo/hailo-whisper.yaml").sha256sum == before
    service.await_ready()


def test_port_and_limits_reach_systemd(host: Host, service: Service, playbook: Playbook) -> None:
    changed = {"server": {"host": "0.0.0.0", "port": 11500}, "resource_limits": {"memory_max": "2G", "cpu_quota": "150%"}}
    try:
        done = playbook("site.yml", "--extra-vars", json.dumps({"hailo_whisper_config": changed}))
        assert done.returncode == 0, done.stdout + done.stderr
        assert service.transcribe(port=11500)
        with pytest.raises(httpx.ConnectError):
            service.transcribe()
        shown = host.check_output("systemctl show --property=MemoryMax,CPUQuotaPerSecUSec hailo-whisper.service")
        assert set(shown.splitlines()) == {"MemoryMax=2147483648", "CPUQuotaPerSecUSec=1.500000s"}
    finally:
        back = playbook("site.yml")
    assert back.returncode == 0, back.stdout + back.stderr
    assert service.transcribe()
    shown = host.check_output("systemctl show --property=MemoryMax,CPUQuotaPerSecUSec hailo-whisper.service")
    assert set(shown.splitlines()) == {"MemoryMax=infinity", "CPUQuotaPerSecUSec=infinity"}


def test_without_root_it_is_refused_before_anything_is_changed(playbook: Playbook) -> None:
    variables = {"ansible_user": "nobody", "ansible_become": False, "ansible_remote_tmp": "/tmp/ansible-nobody"}
    done = playbook("site.yml", "--extra-vars", json.dumps(variables))
    assert done.returncode != 0
    assert "Root is needed on" in done.stdout + done.stderr
    assert " changed=0 " in done.stdout

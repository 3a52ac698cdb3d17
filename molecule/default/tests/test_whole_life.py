"""The end of a machine's life and the next beginning, after all other tests: kept, taken off, deployed anew, and as it was before.

On one of the two machines: the one that has no network, and whose wheels lie on the controller.
"""

import json
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from testinfra.host import Host

from service import INVENTORY, KEY_FILE, Service, run_playbook

Playbook = Callable[..., "subprocess.CompletedProcess[str]"]
# prepare.yml has noted it before anything was deployed.
BEFORE = "/srv/files-before"
LISTED = (
    r"find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /var/tmp -o -path /var/log "
    r"-o -path /var/backups -o -path /var/lib/systemd -o -path /root/.ansible -o -path /home/admin -o -name __pycache__ \) -prune -o -printf '%y %m %u:%g %p %l\n'"
)


@pytest.fixture(autouse=True)
def on_one_machine(name: str) -> None:
    if not name.endswith("debian13"):
        pytest.skip("the other machine would fetch everything from the network once more")


@pytest.fixture
def playbook(name: str) -> Playbook:
    return partial(run_playbook, INVENTORY, name)


def run(playbook: Playbook, name: str, **variables: Any) -> "subprocess.CompletedProcess[str]":
    done = playbook(name, "--extra-vars", json.dumps(variables))
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def listed(host: Host) -> set[str]:
    return {line for line in host.check_output(LISTED).splitlines() if BEFORE not in line}


def test_it_is_taken_off_and_comes_back_as_it_was(
    host: Host, name: str, service: Service, playbook: Playbook, tmp_path: Path
) -> None:
    visitor = host.check_output("hailo-whisper keys add visitor 2>/dev/null")
    configuration = host.file("/etc/hailo/hailo-whisper.yaml").sha256sum
    kept = {"hailo_whisper_backup_folder": str(tmp_path), "hailo_whisper_backup_password": "of the test"}
    done = run(playbook, "backup.yml", **kept)
    assert visitor not in done.stdout
    assert (tmp_path / f"{name}.json").read_text().startswith("$ANSIBLE_VAULT;")

    done = run(playbook, "decommission.yml", hailo_whisper_decommission=1, hailo_whisper_keep=["models"])
    assert "the user hailo-whisper" in done.stdout
    with pytest.raises(httpx.TransportError):
        service.client.get(service.url("/health"))
    left = {line.split()[3] for line in listed(host) - set(host.file(BEFORE).content_string.splitlines())}
    assert left, "the models"
    assert all(path == "/var/lib/hailo-whisper" or path.startswith("/var/lib/hailo-whisper/models") for path in left), left
    again = run(playbook, "decommission.yml", hailo_whisper_decommission=1)
    assert "/var/lib/hailo-whisper" in again.stdout
    assert listed(host) - set(host.file(BEFORE).content_string.splitlines()) == set()
    assert (
        host.check_output(
            "getent passwd hailo-whisper; getent group hailo-whisper; systemctl list-units --all --plain --no-legend 'hailo-whisper*'; true"
        )
        == ""
    )
    assert " changed=0 " in run(playbook, "decommission.yml", hailo_whisper_decommission=1).stdout

    refused = playbook("restore.yml", "--extra-vars", json.dumps(kept))
    assert "Deploy it first (playbooks/site.yml), then restore." in refused.stdout
    run(playbook, "site.yml")
    done = run(playbook, "restore.yml", **kept)
    assert visitor not in done.stdout
    assert host.file("/etc/hailo/hailo-whisper.yaml").sha256sum == configuration
    service.await_ready()
    headers = {"authorization": f"Bearer {visitor}"}
    assert httpx.get(service.url("/v1/models"), headers=headers, trust_env=False).status_code == 200, (
        "the key is the one of before"
    )
    assert oct(host.file(KEY_FILE).mode) == "0o640"
    assert " changed=0 " in run(playbook, "restore.yml", **kept).stdout
    assert service.transcribe()

"""The service of a machine, seen from outside, as a user sees it."""

import os
import re
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from machines import address

PROJECT = Path(__file__).resolve().parents[3]
DATA = PROJECT / "app/src/hailo_whisper/data"
CLIP = (DATA / "clip.txt").read_text(encoding="utf-8")
INVENTORY = PROJECT / "molecule/shared/inventory"
KEY_FILE = "/etc/hailo/hailo-whisper.keys"


def words(text: str) -> str:
    """A text without case, punctuation and hyphens."""
    return " ".join(re.findall(r"[a-z0-9']+", text.lower()))


def run_playbook(inventory: Path, machine: str, playbook: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a playbook against one machine. What it says is without the colours that molecule asks for."""
    environment = {name: value for name, value in os.environ.items() if name not in ("ANSIBLE_FORCE_COLOR", "PY_COLORS")}
    return subprocess.run(
        ["ansible-playbook", "--inventory", inventory, "--limit", machine, f"playbooks/{playbook}", *arguments],
        cwd=PROJECT,
        env=environment | {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


class Service:
    """The service of one machine, seen from outside."""

    def __init__(self, machine: str) -> None:
        self.address = address(machine)
        # That of the machine's own making, or that of the inventory.
        key = ["podman", "exec", machine, "sed", "--quiet", "s/^default://p", KEY_FILE]
        self.key = subprocess.run(key, capture_output=True, text=True, check=True).stdout.strip()
        self.client = httpx.Client(timeout=60, trust_env=False, headers={"authorization": f"Bearer {self.key}"})

    def url(self, path: str, port: int = 11437) -> str:
        return f"http://{self.address}:{port}{path}"

    def transcribe(self, port: int = 11437, *, keep: bool = True) -> str:
        """The text of the clip; without `keep`, on a connection of its own. Raises httpx.HTTPError."""
        files = {"file": ("clip.wav", (DATA / "clip.wav").read_bytes(), "audio/wav")}
        headers = {} if keep else {"connection": "close"}
        url = self.url("/v1/audio/transcriptions", port)
        reply = self.client.post(url, files=files, data={"model": "whisper-1"}, headers=headers)
        return str(reply.raise_for_status().json()["text"])

    def await_ready(self, seconds: float = 90) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if self.client.get(self.url("/health/ready")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.2)
        pytest.fail(f"{self.url('/health/ready')} did not answer 200 within {seconds} s")

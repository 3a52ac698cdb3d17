"""Debian's HAProxy on this machine, configured by the role `gateway` for servers of this machine."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from polling import until
from ports import free_port

PROJECT = Path(__file__).resolve().parents[3]
ROLE = PROJECT / "roles/gateway"
# What needs root, or a user that this machine does not have.
NOT_HERE = re.compile(r"^    (chroot|user|group) .*\n|(?<=admin.sock) user root group root", re.MULTILINE)


def haproxy() -> str:
    """The program."""
    found = shutil.which("haproxy")
    assert found, "haproxy is not there: script/test brings it (script/bootstrap)"
    return found


def render(folder: Path, nodes: Mapping[str, Mapping[str, Any]], **variables: Any) -> Path:
    """What the role writes for a gateway before these hosts, below `folder`; gives the configuration."""
    etc = folder / "etc"
    (etc / "errors").mkdir(parents=True, exist_ok=True)
    known = {
        "gateway_config": str(folder / "haproxy.cfg"),
        "gateway_folder": str(etc),
        "gateway_state": str(folder / "state"),
        "gateway_socket": str(folder / "admin.sock"),
        "gateway_address": "127.0.0.1",
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
    }
    inventory = {
        "hailo_whisper": {"hosts": {name: dict(each) for name, each in nodes.items()}},
        "gateways": {"hosts": {"tower": {}}},
    }
    (folder / "hosts.yml").write_text(json.dumps(inventory))
    template = "ansible.builtin.template"
    play = {
        "hosts": "tower",
        "gather_facts": False,
        "vars_files": [str(ROLE / "defaults/main.yml"), str(ROLE / "vars/main.yml")],
        "tasks": [
            {
                template: {
                    "src": str(ROLE / "templates/error.http.j2"),
                    "dest": f"{etc}/errors/{{{{ item }}}}.http",
                    "mode": "0644",
                },
                "loop": "{{ gateway_errors | list }}",
            },
            {template: {"src": str(ROLE / "templates/haproxy.cfg.j2"), "dest": "{{ gateway_config }}", "mode": "0644"}},
        ],
    }
    (folder / "play.yml").write_text(json.dumps([play]))
    command = ["ansible-playbook", "--inventory", str(folder / "hosts.yml"), str(folder / "play.yml")]
    done = subprocess.run(
        [*command, "--extra-vars", json.dumps(known | variables)],
        cwd=PROJECT,
        env=os.environ | {"ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "haproxy.cfg"


@dataclass
class Gateway:
    """A HAProxy that runs."""

    folder: Path
    port: int
    statistics: int
    process: "subprocess.Popen[bytes]"
    client: httpx.Client

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """The administrator's command."""
        program = [sys.executable, str(ROLE / "files/hailo-whisper-gateway")]
        sockets = ["--socket", "admin.sock", "--master", "master.sock", "--state", "state", "--config", "haproxy.cfg"]
        return subprocess.run([*program, *sockets, *arguments], cwd=self.folder, capture_output=True, text=True, check=False)

    def appliances(self) -> dict[str, dict[str, Any]]:
        """What it says of each."""
        done = self.command("status", "--json")
        assert done.returncode == 0, done.stderr
        return {each["name"]: each for each in json.loads(done.stdout)}

    def ready(self) -> set[str]:
        """The names of those that get requests."""
        return {name for name, each in self.appliances().items() if each["state"] == "ready"}

    def reload(self) -> None:
        """As the unit's reload does it."""
        assert self.command("save").returncode == 0
        self.process.send_signal(signal.SIGUSR2)

    def restart(self) -> None:
        """As the unit's restart does it."""
        self.process.terminate()
        self.process.wait(timeout=10)
        assert self.command("save", "--stopped").returncode == 0
        self.process = start(self.folder)

    def log(self) -> list[dict[str, Any]]:
        """The requests in its log."""
        lines = (self.folder / "log").read_text().splitlines()
        return [json.loads(line.partition(">")[2]) for line in lines if '"request finished"' in line]


def start(folder: Path) -> "subprocess.Popen[bytes]":
    """HAProxy and its master, as the configuration of the folder says, with a socket that answers."""
    (folder / "admin.sock").unlink(missing_ok=True)
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [haproxy(), "-W", "-f", str(folder / "haproxy.cfg"), "-S", str(folder / "master.sock")],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    until(lambda: process.poll() is not None or (folder / "admin.sock").exists())
    assert process.poll() is None, (folder / "log").read_text()
    return process


@contextlib.contextmanager
def gateway(
    folder: Path, nodes: Mapping[str, Mapping[str, Any]], quick: Mapping[str, str] | None = None, **variables: Any
) -> Iterator[Gateway]:
    """Run one before the hosts. `quick` replaces parts of the configuration, so that nobody waits for hours."""
    folder.mkdir(exist_ok=True)
    port, statistics = free_port(), free_port()
    config = render(
        folder, nodes, gateway_port=port, gateway_statistics=f"127.0.0.1:{statistics}", **{"gateway_tls": "none"} | variables
    )
    text = NOT_HERE.sub("", config.read_text())
    for old, new in (quick or {}).items():
        assert old in text, old
        text = text.replace(old, new)
    config.write_text(text)
    (folder / "state").write_text("1\n")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
        running = Gateway(folder, port, statistics, start(folder), client)
        try:
            yield running
        finally:
            running.process.terminate()
            try:
                running.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                running.process.kill()
                running.process.wait()

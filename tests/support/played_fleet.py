"""A fleet that is folders: hosts with a played dpkg, apt and systemctl, a played gateway, and played roles in the place of those that install."""

import contextlib
import http.server
import json
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from played_parts import GATEWAY, PROGRAMS, ROLES, SUFFIX

PROJECT = Path(__file__).resolve().parents[2]
NOBODY = {"ansible_host": "127.0.0.1", "ansible_port": 1}
"""Where ssh finds nobody."""


class Ready(http.server.BaseHTTPRequestHandler):
    """A service that says that it is ready."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Fleet:
    """Hosts `names` behind a gateway, each with the version 0.1.0, whose package lies on the controller."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.folder, self.names = folder, names
        for name in names:
            self._host(name, "0.1.0")
        for role, tasks in ROLES.items():
            path = folder / "roles" / role.replace("/", "/tasks/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_suffix(".yml").write_text(json.dumps(tasks))
        (folder / "packages").mkdir()
        for version in ("0.1.0", "0.2.0", "0.3.0"):
            self.package(version)
        (folder / "states").write_text(json.dumps(dict.fromkeys(names, "ready")))
        program = folder / "gateway"
        program.write_text(f"#!{sys.executable}\n{GATEWAY.format(path=str(folder / 'states'))}")
        program.chmod(0o755)
        # One that has `off` cannot be reached from the beginning.
        hosts = {
            name: {"ansible_connection": f"{{{{ 'ssh' if '{folder}/{name}/off' is exists else 'local' }}}}"} | NOBODY
            for name in names
        }
        self.inventory: dict[str, Any] = {
            "hailo_whisper": {
                "hosts": hosts,
                "vars": {
                    "hailo_whisper_install_method": "deb",
                    "hailo_whisper_deb": str(folder / "packages"),
                    "hailo_whisper_rollout_soak_seconds": 0,
                    "hailo_whisper_rollout_serial": [1, "100%"],
                },
            },
            "hailo_whisper_gateway": {
                "hosts": {
                    # Refuses ssh while there is `cut`, which is made where a host that has `cuts` is installed on; what is in that is added to the name.
                    "tower": {
                        "ansible_connection": f"{{{{ 'ssh' if '{folder}/cut' is exists else 'local' }}}}",
                    }
                    | NOBODY
                }
            },
            "all": {"vars": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}},
        }

    def _host(self, name: str, version: str) -> None:
        root = self.folder / name
        (root / "usr/bin").mkdir(parents=True)
        (root / "etc/hailo").mkdir(parents=True)
        for program, lines in PROGRAMS.items():
            self._program(root / "usr/bin" / program, lines)
        (root / "opt/hailo-whisper/venv/bin").mkdir(parents=True)
        self._program(root / "opt/hailo-whisper/venv/bin/hailo-whisper", 'echo "unchanged /etc/xdg"')
        (root / "status").write_text(f"hailo-whisper {version}{SUFFIX} installed\n")
        (root / "etc/hailo/hailo-whisper.yaml").write_text("of: 0.1.0\n")
        (root / "spoilt").write_text("")
        (root / "apt").write_text("")

    @staticmethod
    def _program(path: Path, lines: str) -> None:
        path.write_text(f'#!/bin/sh\nROOT=$(dirname "$0" | sed "s,/\\(usr/bin\\|opt/hailo-whisper/venv/bin\\)$,,")\n{lines}\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def package(self, version: str) -> Path:
        """A package on the controller."""
        machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
        path = self.folder / f"packages/hailo-whisper_{version}{SUFFIX}_{machine}.deb"
        path.write_text(f"hailo-whisper {version}{SUFFIX}\n")
        return path

    def mark(self, name: str, mark: str, text: str = "") -> Path:
        """Put a file onto a host that says how it is to behave."""
        path = self.folder / name / mark
        path.write_text(text)
        return path

    def second_gateway(self, name: str) -> None:
        """Another gateway in front of the same hosts, which refuses ssh while there is `cut-NAME`."""
        (self.folder / f"states-{name}").write_text(json.dumps(dict.fromkeys(self.names, "ready")))
        # Both are this machine: by its shell the played program knows which of them it is asked at.
        shell = self.folder / f"shell-{name}"
        shell.write_text(f'#!/bin/sh\nPLAYED_GATEWAY=-{name} exec /bin/sh "$@"\n')
        shell.chmod(0o755)
        connection = f"{{{{ 'ssh' if '{self.folder}/cut-{name}' is exists else 'local' }}}}"
        hosts = self.inventory["hailo_whisper_gateway"]["hosts"]
        hosts[name] = {"ansible_connection": connection, "ansible_shell_executable": str(shell)} | NOBODY

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Have all of them say that they are ready, at the port of the inventory, where before nobody listened."""
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ready) as server:
            self.inventory["hailo_whisper"]["vars"]["hailo_whisper_config"] = {"server": {"port": server.server_address[1]}}
            threading.Thread(target=server.serve_forever, daemon=True).start()
            for name in self.names:
                path = self.folder / name / "etc/xdg/hailo-whisper/hailo-whisper.json"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps({"server": {"port": server.server_address[1]}}))
            try:
                yield
            finally:
                server.shutdown()

    def version(self, name: str) -> str:
        return (self.folder / name / "status").read_text().split()[1].removesuffix(SUFFIX)

    def config(self, name: str) -> str:
        return (self.folder / name / "etc/hailo/hailo-whisper.yaml").read_text()

    def ledger(self, name: str) -> dict[str, Any]:
        path = self.folder / name / "var/lib/hailo-whisper/rollout.json"
        found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return found

    def states(self, gateway: str = "") -> dict[str, str]:
        """At the first gateway, or at the second of that name."""
        found: dict[str, str] = json.loads(self._states(gateway).read_text())
        return found

    def _states(self, gateway: str) -> Path:
        return self.folder / (f"states-{gateway}" if gateway else "states")

    def drain(self, name: str) -> None:
        """As an administrator does by hand."""
        (self.folder / "states").write_text(json.dumps(self.states() | {name: "drain"}))

    def put_back(self, name: str) -> None:
        """As an administrator does by hand."""
        (self.folder / "states").write_text(json.dumps(self.states() | {name: "ready"}))

    def gateway_log(self, gateway: str = "") -> list[str]:
        path = Path(f"{self._states(gateway)}.log")
        return path.read_text().splitlines() if path.exists() else []

    def start(self, playbook: str, *arguments: str, **variables: Any) -> "subprocess.Popen[str]":
        """Run a playbook against it."""
        (self.folder / "hosts.yml").write_text(json.dumps(self.inventory))
        extra = {
            "rollout_root": f"{self.folder}/{{{{ inventory_hostname }}}}",
            "rollout_gateway_program": str(self.folder / "gateway"),
        }
        return subprocess.Popen(
            [
                "ansible-playbook",
                *("--inventory", str(self.folder / "hosts.yml")),
                *("--extra-vars", json.dumps(extra | variables)),
                f"playbooks/{playbook}.yml",
                *arguments,
            ],
            cwd=PROJECT,
            env=os.environ
            | {
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"),
                "ANSIBLE_ROLES_PATH": f"{self.folder / 'roles'}:{PROJECT / 'roles'}",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, playbook: str, *arguments: str, **variables: Any) -> tuple[int, str]:
        """Its exit status and what it said."""
        with self.start(playbook, *arguments, **variables) as process:
            said, _ = process.communicate(timeout=300)
        return process.returncode, said

    @staticmethod
    def kill(process: "subprocess.Popen[str]") -> None:
        """The controller, which notes nothing more. Its workers are in sessions of their own: the task that they are at goes on to its end."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


def summary(said: str) -> dict[str, list[str]]:
    """The rows of the summary by host, and its last lines under ""."""
    lines = said.partition("SUMMARY")[2].splitlines()[1:]
    end = next(number for number, line in enumerate(lines) if ": " in line or " of " in line)
    rows = {line.split()[0]: line.split(maxsplit=3)[1:] for line in lines[1:end]}
    return rows | {"": lines[end:]}

"""The connection `machine`: Ansible's way into the test machines that script/host makes, which are podman containers.

containers.podman.podman would do. It cannot pipeline, so that each task calls podman six times, and that was half of the time of the tests. This
enters the machine's namespaces instead, once or twice a task, which takes a hundredth of a second.
"""

import shlex
import subprocess
from pathlib import Path

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.connection import ConnectionBase

DOCUMENTATION = """
name: machine
short_description: Work on a test machine of script/host
description: Runs commands in the namespaces of the machine whose name is that of the host. Needs root.
options:
  pipelining:
    description: Whether a module comes by the standard input of the program that runs it, instead of in a file.
    type: bool
    default: true
    vars:
      - name: ansible_pipelining
"""

# What podman gives a program that it runs there.
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "TERM": "xterm"}
AS = 'exec setpriv --reuid="$0" --regid="$(id -g "$0")" --init-groups --reset-env "$@"'


def first_process(name: str, proc: Path = Path("/proc")) -> int | None:
    """The number, here, of the first process of the machine with that name. It changes when the machine is started again."""
    for folder in proc.glob("[0-9]*"):
        try:
            if (folder / "comm").read_text() != "systemd\n":
                continue
            # The number in each of the namespaces that it is in, from here to its own.
            (numbers,) = (line.split()[1:] for line in (folder / "status").read_text().splitlines() if line.startswith("NSpid:"))
            # script/host makes the machine's name its host name.
            if len(numbers) > 1 and numbers[-1] == "1" and (folder / "root/etc/hostname").read_text().strip() == name:
                return int(folder.name)
        except OSError:  # It has ended meanwhile.
            continue
    return None


class Connection(ConnectionBase):  # type: ignore[misc]  # untyped
    """A machine, by its namespaces."""

    transport = "machine"
    has_pipelining = True

    def _connect(self) -> "Connection":
        # Each command makes its own way.
        return self

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        """Run a command line: its exit status, its output and what it complains of."""
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        return self._run(shlex.split(cmd), in_data or b"")

    def put_file(self, in_path: str, out_path: str) -> None:
        """Bring a file to the machine, as the user of the connection."""
        super().put_file(in_path, out_path)
        status, _, said = self._run(["sh", "-c", 'cat >"$0"', out_path], Path(in_path).read_bytes())
        if status:
            raise AnsibleError(f"{in_path} could not be brought to {self._name}: {said.decode(errors='replace')}")

    def fetch_file(self, in_path: str, out_path: str) -> None:
        """Get a file from the machine."""
        super().fetch_file(in_path, out_path)
        status, content, said = self._run(["cat", in_path], b"")
        if status:
            raise AnsibleError(f"{in_path} could not be had from {self._name}: {said.decode(errors='replace')}")
        Path(out_path).write_bytes(content)

    def close(self) -> None:
        """There is nothing to close."""

    @property
    def _name(self) -> str:
        return str(self._play_context.remote_addr)

    def _run(self, command: list[str], given: bytes) -> tuple[int, bytes, bytes]:
        number = first_process(self._name)
        if number is None:
            raise AnsibleConnectionFailure(f"There is no machine {self._name}, or it is not up: `script/host up {self._name}`.")
        user = self._play_context.remote_user
        enter = ["nsenter", "--target", str(number), "--mount", "--uts", "--ipc", "--net", "--pid"]
        become = ["sh", "-c", AS, user] if user and user != "root" else []
        done = subprocess.run([*enter, *become, *command], env=ENVIRONMENT, input=given, capture_output=True, check=False)
        return done.returncode, done.stdout, done.stderr

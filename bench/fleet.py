"""What a playbook costs the controller for a large inventory: `python -m bench.fleet --help`.

The hosts are names: each is this machine by a local connection, whose Python waits as long as a network would take. So the time that Ansible itself needs,
its memory, and what `forks` is worth are measured; what the hosts do in their own time is not. Nothing is changed, because it is in check mode.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
# What a host that fits would measure, so that none is refused for what this machine lacks.
FITS = {
    "preflight_found_system": "Debian 12",
    "preflight_found_user": 0,
    "preflight_found_python": "3.11",
    "preflight_found_memory_mb": 4000,
    "preflight_found_disks": [],
    "preflight_found_port_owner": "",
}


def main() -> int:
    """Measure, and print a line of JSON for each run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, nargs="+", default=[500], help="sizes of the inventory")
    parser.add_argument("--forks", type=int, nargs="+", default=[25], help="hosts that are worked on at the same time")
    parser.add_argument("--latency", type=float, default=0.2, help="seconds that each module waits, as a network would have it")
    parser.add_argument("--parse", action="store_true", help="only parse the inventory and the playbook (--list-tasks)")
    parser.add_argument("--tags", default="preflight", help="what of playbooks/site.yml is run in check mode")
    args = parser.parse_args()
    for hosts in args.hosts:
        for forks in args.forks:
            print(
                json.dumps(
                    measured(hosts, forks, args.latency, ["--list-tasks"] if args.parse else ["--check", f"--tags={args.tags}"])
                ),
                flush=True,
            )
    return 0


def measured(hosts: int, forks: int, latency: float, options: list[str]) -> dict[str, object]:
    """Seconds of the wall and of the processor, and the largest process in MB, of one run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python = folder / "python3"
        python.write_text(f'#!/bin/sh\nsleep {latency}\nexec /usr/bin/python3 "$@"\n')
        python.chmod(0o755)
        common = {"ansible_connection": "local", "ansible_python_interpreter": str(python)}
        inventory = {"hailo_whisper": {"hosts": {f"host{number:04}": {} for number in range(hosts)}, "vars": common}}
        (folder / "hosts.yml").write_text(json.dumps(inventory))
        command = ["ansible-playbook", f"--inventory={folder / 'hosts.yml'}", f"--forks={forks}", "playbooks/site.yml", *options]
        if "--check" in options:
            command.append(f"--extra-vars={json.dumps(FITS)}")
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        # The largest child that was ever waited for is reported, so each run is to be a process of its own for an honest figure of memory.
        done = subprocess.run(
            command,
            cwd=PROJECT,
            env=os.environ | {"ANSIBLE_NOCOLOR": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        took, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"`{' '.join(command)}` failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"hosts": hosts, "forks": forks, "seconds": round(took, 1), "cpu": round(cpu, 1), "mb": after.ru_maxrss // 1024}


if __name__ == "__main__":
    sys.exit(main())

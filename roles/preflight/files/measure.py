#!/usr/bin/python3
"""Measures what the preflight role judges, in one call: prints JSON. Changes nothing. Arguments: a JSON object.

`port`: the TCP port to look at. `needs`: a list of {"path", "mb"}: what is going to be written where; a path that is there already needs
nothing. `catalog`: the folder of the host's own descriptions of models. The needs of paths on one file system are added up, because they share its room.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path


def main():
    arguments = json.loads(sys.argv[1])
    print(
        json.dumps(
            {
                "user": os.geteuid(),
                "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
                "memory_mb": memory_mb(),
                "disks": disks(arguments["needs"]),
                "port_owner": port_owner(arguments["port"]),
                "models": models(Path(arguments["catalog"])),
            }
        )
    )


def memory_mb():
    """The memory of the machine, in MB of 1000 000 bytes, as the catalog counts."""
    text = Path("/proc/meminfo").read_text(encoding="ascii")
    return int(re.search(r"^MemTotal: +([0-9]+) kB", text, re.MULTILINE)[1]) * 1024 // 1000000


def disks(needs):
    """What is needed and what is free on each file system: a list of {"path", "needed_mb", "free_mb"}."""
    found = {}
    for need in needs:
        path = Path(need["path"])
        try:
            if path.exists():
                continue
            parent = next(folder for folder in path.parents if folder.exists())
        except PermissionError:
            # Only root sees into the state of the service; anybody else is refused for that, with a better sentence.
            continue
        disk = found.setdefault(
            parent.stat().st_dev,
            {"path": str(parent), "needed_mb": 0, "free_mb": shutil.disk_usage(parent).free // 1000000},
        )
        disk["needed_mb"] += need["mb"]
    return list(found.values())


def port_owner(port):
    """Who else listens on the port; "" when nobody does, or only hailo-whisper."""
    lines = output("ss", "--no-header", "--listening", "--tcp", "--numeric", "--processes", f"sport = :{port}")
    if not lines:
        return ""
    # systemd holds the socket for us, so the process that ss names says nothing.
    ours = output("systemctl", "show", "--property=ActiveState,Listen", "hailo-whisper.socket")
    if "ActiveState=active" in ours and re.search(rf":{port}\b", ours):
        return ""
    match = re.search(r'users:\(\("([^"]+)",pid=([0-9]+)', lines)
    return f"{match[1]} (process {match[2]})" if match else "another program"


def models(folder):
    """The names in the catalog's files, as near as they can be read without a library for YAML."""
    try:
        texts = [path.read_text(encoding="utf-8", errors="replace") for path in sorted(folder.glob("*.yaml"))]
    except OSError:
        return []
    name = r"""^ *(?:- +)?name: *["']?([A-Za-z0-9._-]+)"""
    return [found for text in texts for found in re.findall(name, text, re.MULTILINE)]


def output(*command):
    """What a command prints; nothing when it fails or is not there."""
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout
    except FileNotFoundError:
        return ""


if __name__ == "__main__":
    main()

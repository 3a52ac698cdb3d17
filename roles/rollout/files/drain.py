#!/usr/bin/python3
"""Drains an appliance at this gateway, unless it is the last that takes requests: prints `drained` or `last`. Arguments: the command, its name there."""

import json
import subprocess
import sys


def main():
    program, name = sys.argv[1:]
    appliances = json.loads(ask(program, "status", "--json"))
    if not any(each["state"] == "ready" for each in appliances if each["name"] != name):
        print("last")
        return
    ask(program, "drain", name)
    print("drained")


def ask(*command):
    """What it says; its own words when it fails."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr.strip())
    return done.stdout


if __name__ == "__main__":
    main()

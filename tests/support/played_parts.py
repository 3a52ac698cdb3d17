"""What a played fleet runs in the place of real programs, gateways and roles."""

from typing import Any

SUFFIX = "+deb12u1"

# Each finds the machine that it is of by where it lies. The state of dpkg is a line for each package: name, version, status.
PROGRAMS = {
    "dpkg-query": 'cat "$ROOT/status"',
    "dpkg-deb": '[ "$1" = --show ] && cat "$3"',
    "dpkg": "exit 0",
    "apt-get": 'if [ "$1" = --print-uris ]; then exec grep --quiet --line-regexp "$3" "$ROOT/apt"; fi; for word; do case $word in *.deb) read -r name version <"$word"; echo "$name $version installed" >"$ROOT/status";; esac; done; '
    # Whoever has "fills" cannot write the ledger from then on.
    '[ ! -e "$ROOT/fills" ] || mkdir -p "$ROOT/var/lib/hailo-whisper/.rollout.json.part"; echo "apt $*" >>"$ROOT/log"; ! [ -e "$ROOT/apt-fails" ] || { echo "E: no room" >&2; exit 100; }',
    "systemctl": '[ "$1" = is-active ] && echo active; echo "systemctl $*" >>"$ROOT/log"',
}
GATEWAY = """
import fcntl, json, os, sys
path = {path!r} + os.environ.get("PLAYED_GATEWAY", "")
# Several hosts of a batch are put back at the same time.
lock = open(path + ".lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX)
states = json.load(open(path))
command = sys.argv[1]
if command == "status":
    print(json.dumps([{{"name": name, "state": state}} for name, state in states.items()]))
elif "--wait" in sys.argv and os.path.exists(path + ".hangs") and command == "drain":
    sys.exit("hailo-whisper-gateway: it is drained, and still has 2 requests after 1 s.")
else:
    states[sys.argv[2]] = command
    with open(path + ".new", "w") as stream:
        json.dump(states, stream)
    os.replace(path + ".new", path)
    print(command, sys.argv[2], file=open(path + ".log", "a"))
"""
SERVED = "{{ lookup('ansible.builtin.file', rollout_root ~ '/status').split()[1] }}"
SPOILT = "{{ lookup('ansible.builtin.file', rollout_root ~ '/spoilt').splitlines() }}"
# What stands for the roles that deploy. `spoilt` has the versions that do not work on that host.
ROLES: dict[str, list[dict[str, Any]]] = {
    "preflight/main": [
        {
            "name": "Refuse",
            "ansible.builtin.assert": {"that": "not (rollout_root ~ '/refused') is exists", "fail_msg": "This host is refused."},
        }
    ],
    "preflight/inventory": [],
    "service_user/main": [],
    "accelerator/main": [],
    "hailo_apps/main": [],
    "models/main": [
        {
            "name": "Remove",
            "ansible.builtin.include_tasks": "prune.yml",
            "when": "models_prune | default(hailo_whisper_model_prune | default(false))",
        }
    ],
    "models/prune": [
        {
            "name": "Remove",
            "ansible.builtin.shell": "[ ! -e {{ rollout_root }}/prune-fails ] && echo all but {{ models_kept | default([]) | join(' and ') }} >>{{ rollout_root }}/pruned",
        }
    ],
    "server/build": [],
    "server/main": [
        {
            "name": "Be away",
            "ansible.builtin.set_fact": {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1},
            "when": "(rollout_root ~ '/away') is exists",
        },
        {
            "name": "Install",
            "ansible.builtin.shell": {
                "cmd": "echo hailo-whisper {{ hailo_whisper_version }}" + SUFFIX + " installed >{{ rollout_root }}/status; "
                "touch {{ rollout_root }}/installing; [ ! -e {{ rollout_root }}/cuts ] || touch {{ rollout_root }}/../cut$(cat {{ rollout_root }}/cuts); while [ -e {{ rollout_root }}/wait ]; do sleep 0.1; done"
            },
        },
    ],
    "config/main": [
        {
            "name": "Configure",
            "ansible.builtin.copy": {
                "content": "of: {{ hailo_whisper_version }}\n",
                "dest": "{{ rollout_root }}/etc/hailo/hailo-whisper.yaml",
                "mode": "0644",
            },
        }
    ],
    "service/main": [{"name": "Be ready", "ansible.builtin.include_role": {"name": "service", "tasks_from": "ready"}}],
    "service/ready": [
        {
            "name": "Be ready",
            "ansible.builtin.assert": {
                "that": "served not in spoilt",
                "fail_msg": "hailo-whisper {{ served }} is not ready after 180 s.",
            },
            "vars": {"spoilt": SPOILT, "served": SERVED},
        }
    ],
    "service/verify": [
        {
            "name": "Go away while it is looked at",
            "ansible.builtin.set_fact": {"ansible_connection": "ssh"},
            "when": "(rollout_root ~ '/fades') is exists",
        },
        {"name": "Be there", "ansible.builtin.ping": {}},
        {
            "name": "Hear",
            "ansible.builtin.assert": {
                "that": "not (rollout_root ~ '/deaf') is exists or not service_verify_seconds | default(0)",
                "fail_msg": "It did not hear kettle.",
            },
        },
        {
            "name": "Have a key",
            "ansible.builtin.assert": {"that": "not (rollout_root ~ '/stale') is exists", "fail_msg": "It answered 401."},
        },
        {
            "name": "Have the right key",
            "ansible.builtin.assert": {
                "that": "not (rollout_root ~ '/keys') is exists or service_key_file | default('the new ones') == lookup('ansible.builtin.file', rollout_root ~ '/keys')",
                "fail_msg": "It answered 401 to {{ service_key_file | default('the new ones') }}.",
            },
        },
    ],
    "service/version": [
        {"name": "Ask", "ansible.builtin.set_fact": {"service_version": SERVED.replace(" }}", ".split('+')[0] }}")}}
    ],
}

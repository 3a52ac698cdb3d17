#!/usr/bin/python3
"""The module hailo_whisper_rollout: what a roll-out keeps of a machine and does to it. Gives what it has found or done as `found`.

`command: look`: what is installed, what its last roll-out has noted, what it would go back to, which models that needs, and what is in the way; `ask_apt`: whether apt can be asked for packages.
`begin`: take the snapshot, and note in the ledger what begins (`entry`). `end`: note what came of it (`entry`). `back`: put back what the snapshot has.
`fetch`: have apt download packages (`packages`, by their versions) into what is kept. All of them: `root`, of another file system, for tests; each can
be cut off and run again. In check mode `back` says what would be put back, and nothing is changed; with --diff also what is another line of the
configuration.

Its parts are in module_utils/hailo_whisper_rollout: Ansible sends them along, as one program.
"""

import os
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.hailo_whisper_rollout.files import text
from ansible.module_utils.hailo_whisper_rollout.ledger import Ledger
from ansible.module_utils.hailo_whisper_rollout.machine import STAMP, Machine, Refused
from ansible.module_utils.hailo_whisper_rollout.restoration import Restoration
from ansible.module_utils.hailo_whisper_rollout.snapshot import Snapshot


def main():
    """Ansible's end of it."""
    commands = {"look": look, "fetch": fetch, "begin": begin, "end": end, "back": back}
    module = AnsibleModule(
        argument_spec={
            "command": {"type": "str", "required": True, "choices": [*commands]},
            "root": {"type": "path", "default": "/"},
            "ask_apt": {"type": "bool", "default": False},
            "packages": {"type": "dict"},
            "entry": {"type": "dict"},
        },
        required_if=[("command", "fetch", ["packages"]), ("command", "begin", ["entry"]), ("command", "end", ["entry"])],
        supports_check_mode=True,
    )
    command = module.params["command"]
    if module.check_mode and command not in ("look", "back"):
        module.exit_json(changed=True, found={})
    try:
        found = commands[command](Snapshot(Machine(Path(module.params["root"]))), module)
    except Refused as refused:
        why = str(refused)
    except OSError as error:
        why = f"{error.filename or 'A file'} could not be read or written ({error.strerror}). Mend that, and run the playbook again."
    else:
        changed = bool(found["changed"]) if command == "back" else command != "look"
        module.exit_json(changed=changed, found=found)
    module.fail_json(msg=why)


def look(kept, module):
    """What there is."""
    machine = kept.machine
    if os.geteuid() != 0 and str(machine.root) == "/":
        # What only root may read would look as if it were not there.
        raise Refused(
            "Root is needed on this host. Run ansible-playbook with --become (and --ask-become-pass), or set ansible_become or ansible_user for it in "
            "the inventory."
        )
    snapshot = kept.snapshot()
    ledger = Ledger(machine)
    unfinished = ledger.unfinished(snapshot)
    lacking = kept.lacking(snapshot["packages"] if unfinished else machine.packages())
    asked = lacking if module.params["ask_apt"] else {}
    return {
        "version": machine.version(),
        "method": machine.method(),
        "stamp": text(machine.root / STAMP) or "",
        "ledger": ledger.last,
        "snapshot": {name: snapshot[name] for name in ("version", "method", "packages")} if snapshot else None,
        "unfinished": unfinished,
        "since": ledger.since() if snapshot else [],
        "hindrance": Restoration(kept, True, False).hindrance() if snapshot else "",
        "ready": machine.ready(),
        "service": machine.service(),
        "needed": [*snapshot.get("serving", []), *snapshot.get("offered", [])]
        if unfinished
        else [*machine.serving(), *machine.offered()],
        "lacking": lacking,
        "apt_lacks": [name for name, version in asked.items() if not machine.apt_has(name, version)],
    }


def fetch(kept, module):
    """Have the packages of the version before."""
    return {"brought": kept.fetch(module.params["packages"])}


def begin(kept, module):
    """Be able to go back, and say so."""
    ledger = Ledger(kept.machine)
    if ledger.unfinished(kept.snapshot()):
        kept.machine.finish()
    else:
        kept.take()
    return ledger.begin({**module.params["entry"], "from": kept.snapshot()["version"], "outcome": "under way"})


def end(kept, module):
    """Note what came of it."""
    return Ledger(kept.machine).end(module.params["entry"])


def back(kept, module):
    """Go back."""
    return Restoration(kept, module.check_mode, module._diff).back()


if __name__ == "__main__":
    main()

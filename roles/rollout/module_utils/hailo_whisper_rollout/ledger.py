"""The ledger: what the last roll-out of a machine has noted, and those before it."""

import itertools

from ansible.module_utils.hailo_whisper_rollout.files import read, write

LEDGER = "var/lib/hailo-whisper/rollout.json"
UNFINISHED = "under way", "failed"
REMEMBERED = 9
"""Earlier roll-outs that the ledger has."""


class Ledger:
    """What is noted on a machine."""

    def __init__(self, machine):
        self.machine = machine
        self.path = machine.root / LEDGER
        self.last = read(self.path) or {}

    def begin(self, entry):
        """Note what begins, before those that were. Gives the entry."""
        last = {name: value for name, value in self.last.items() if name not in ("earlier", "configuration")}
        earlier = ([last] if self.last else []) + self.last.get("earlier", [])
        write(self.path, {**entry, "earlier": earlier[:REMEMBERED]})
        return entry

    def end(self, entry):
        """Note what came of it. Gives the whole entry."""
        ledger = {**self.last, **entry}
        if ledger["outcome"] == "done":
            ledger["configuration"] = self.machine.configuration()
        write(self.path, ledger)
        return {name: value for name, value in ledger.items() if name != "earlier"}

    def unfinished(self, snapshot):
        """Whether a roll-out was cut off or failed. Where somebody has installed a third version since, it is that which is to be gone back to next."""
        return bool(snapshot) and self.last.get("outcome") in UNFINISHED and self.is_of()

    def is_of(self):
        """Whether what is installed is of that roll-out: the version before, the one that it brings, or a half of one.

        One that goes on with another that was cut off may find the other's version too.
        """
        others = itertools.takewhile(lambda entry: entry.get("outcome") in UNFINISHED, self.last.get("earlier") or [])
        version, brought = self.machine.version(), [entry.get("to") or "" for entry in (self.last, *others)]
        if not version or any(status != "installed" for _, status in self.machine.listed().values()):
            return True
        return version == self.last.get("from") or any(
            to and (version == to or version.startswith(f"{to}+deb")) for to in brought
        )

    def since(self):
        """What was changed after the last roll-out by somebody else, who would not expect that going back undoes it."""
        outcome = self.last.get("outcome")
        found = [f"hailo-whisper {self.machine.version()}"] if outcome in (*UNFINISHED, "done") and not self.is_of() else []
        if outcome == "done" and "configuration" in self.last:
            then, now = self.last["configuration"], self.machine.configuration()
            found += [f"/{name}" for name in sorted({*then, *now}) if then.get(name) != now.get(name)]
        return found

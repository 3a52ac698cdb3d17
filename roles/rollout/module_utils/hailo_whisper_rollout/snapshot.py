"""The snapshot: what is kept of the version before.

One of a roll-out that was cut off or failed is left as it is for the next. API keys are not in it, so that a key that was taken back stays so; neither
are models, but for their sums.
"""

import os

from ansible.module_utils.hailo_whisper_rollout.files import copy_tree, measure, read, remove, sync, write
from ansible.module_utils.hailo_whisper_rollout.machine import CONFIGURATION, STAMP, TREE, Refused

# Root's alone. The environment lies beside the one in use, so that a link to each of its files will do.
SNAPSHOT, KEPT_TREE = "var/lib/hailo-whisper/rollback", "opt/hailo-whisper/rollback"
# What the roles install besides, where no package does.
PLACED = (
    "usr/lib/systemd/system/hailo-whisper*",
    "usr/lib/systemd/system/hailo-whisper*.d/*",
    "usr/lib/hailo-whisper/*",
    "usr/lib/sysusers.d/hailo-whisper.conf",
    "usr/lib/tmpfiles.d/hailo-whisper.conf",
    "usr/lib/udev/rules.d/70-hailo-whisper.rules",
    "usr/share/man/man1/hailo-whisper.1",
    "usr/share/man/man5/hailo-whisper.yaml.5",
    "usr/share/bash-completion/completions/hailo-whisper",
    STAMP,
)


class Snapshot:
    """What is kept on a machine."""

    def __init__(self, machine):
        self.machine = machine
        self.kept = machine.root / SNAPSHOT

    def snapshot(self):
        """What was kept; None when it is not whole."""
        return read(self.kept / "snapshot.json")

    def files(self, method):
        """The files that a snapshot of something installed that way has."""
        return self.machine.contents(CONFIGURATION + (PLACED if method == "venv" else ()))

    def cached(self):
        """Version and file of each package that is kept here."""
        found = {}
        # One with a dot is on its way from the controller.
        for path in sorted(self.kept.glob("[!.]*.deb")):
            fields = self.machine.run("dpkg-deb", "--show", "--showformat=${Package} ${Version}", path).stdout.split()
            if len(fields) == 2:
                found[fields[0]] = (fields[1], path)
        return found

    def lacking(self, packages):
        """Those of the packages, by their versions, that are not kept here."""
        there = self.cached()
        return {name: version for name, version in packages.items() if there.get(name, ("",))[0] != version}

    def fetch(self, packages):
        """Have apt bring the packages of the version before. Each is kept when it is whole: what a download that was cut off has left is not."""
        coming = self.kept / "coming"
        remove(coming)
        self.kept.mkdir(parents=True, exist_ok=True, mode=0o700)
        coming.mkdir()
        wanted = [f"{name}={version}" for name, version in sorted(packages.items())]
        # As root, where apt's own user may not look.
        done = self.machine.run("apt-get", "-oAPT::Sandbox::User=root", "download", *wanted, folder=coming)
        if done.returncode:
            said = " ".join(line for line in done.stderr.splitlines() if line.startswith("E:"))
            raise Refused(
                f"apt could not download {' and '.join(wanted)}: {said[:600]} Let `apt-get update` run here, and run the playbook again."
            )
        brought = sorted(coming.glob("*.deb"))
        for path in brought:
            sync(path)
            path.replace(self.kept / path.name)
        remove(coming)
        return [path.name for path in brought]

    def take(self):
        """Take the snapshot, in the place of the one before. Its note is written last: without it there is none."""
        machine = self.machine
        method, packages = machine.method(), machine.packages()
        if not method:
            raise Refused(
                "hailo-whisper is not installed here, so there is nothing to roll out over. Deploy it first (playbooks/site.yml)."
            )
        lacking = self.lacking(packages)
        if lacking:
            raise Refused(f"The packages of the version before are not here: {', '.join(lacking)}. Run the playbook again.")
        self.kept.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.kept.chmod(0o700)
        (self.kept / "snapshot.json").unlink(missing_ok=True)
        needed = [file for name, (_, file) in self.cached().items() if name in packages]
        for path in self.kept.glob("*.deb"):
            if path not in needed:
                path.unlink()
        kept_tree = machine.root / KEPT_TREE
        remove(kept_tree)
        if method == "venv":
            copy_tree(machine.root / TREE, kept_tree)
        snapshot = {
            "version": machine.version(),
            "method": method,
            "packages": packages,
            "files": self.files(method),
            "models": machine.models(),
            "serving": machine.serving(),
            "offered": machine.offered(),
            "tree": measure(kept_tree) if method == "venv" else None,
        }
        # All that it speaks of has to be there after a power cut, if it is.
        os.sync()
        write(self.kept / "snapshot.json", snapshot, 0o600)

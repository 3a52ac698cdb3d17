"""The way back: what the snapshot has is put where it was, as often as it takes."""

import base64
import difflib
import fnmatch
from pathlib import Path

from ansible.module_utils.hailo_whisper_rollout.files import copy_tree, measure, remove, sync
from ansible.module_utils.hailo_whisper_rollout.machine import CONFIGURATION, TREE, Refused
from ansible.module_utils.hailo_whisper_rollout.snapshot import KEPT_TREE, SNAPSHOT

PROGRAM = f"{TREE}/bin/hailo-whisper"
SOCKET = "usr/lib/systemd/system/hailo-whisper.socket", "etc/systemd/system/hailo-whisper.socket.d/*"
SERVICE_UNIT, SOCKET_UNIT = "hailo-whisper.service", "hailo-whisper.socket"
CONFOLD = [
    "-oDPkg::Options::=--force-confdef",
    "-oDPkg::Options::=--force-confold",
    "-oDPkg::Lock::Timeout=300",
    "-oDPkg::Use-Pty=0",
]


class Restoration:
    """Puts back what is kept; with `check` only says what would be. With `diff` it says too what is another line of the configuration."""

    def __init__(self, kept, check, diff):
        self.kept, self.machine, self.check = kept, kept.machine, check
        self.with_diff = diff

    def back(self):
        """The snapshot's version with its configuration. Gives what was changed."""
        snapshot = self.kept.snapshot()
        if not snapshot:
            raise Refused(
                "There is no snapshot to go back to: nothing was rolled out here. Install the version that you want with playbooks/site.yml."
            )
        socket, diff = self.machine.contents(SOCKET), self.diff(snapshot) if self.with_diff else []
        changed = self.program_back(snapshot) + self.files_back(snapshot)
        if not self.check:
            self.take_effect(changed, socket)
        models = self.machine.models()
        return {
            "changed": changed,
            "diff": diff,
            "version": snapshot["version"],
            "service": self.machine.service(),
            "models": sorted(name for name, sums in snapshot["models"].items() if models.get(name) != sums),
        }

    def hindrance(self):
        """Why there is no way back to the snapshot, as a sentence; "" where nothing is in the way. Asked before anybody is drained, with `check`."""
        snapshot = self.kept.snapshot()
        try:
            self.program_back(snapshot)
        except Refused as refused:
            return str(refused)
        # By another name in the store, as an NPU's is, nobody knows it here.
        had = [name for name in snapshot.get("serving", []) if name in snapshot["models"]]
        if had and not set(had) & set(self.machine.models()):
            return f"The model {had[0]}, with which {snapshot['version']} served, is gone. Let `hailo-whisper models pull {had[0]}` run here."
        return ""

    def program_back(self, snapshot):
        """Put its program back, as it was installed. Gives what was changed."""
        return self.packages_back(snapshot["packages"]) if snapshot["method"] == "deb" else self.tree_back(snapshot)

    def packages_back(self, wanted):
        """Install the packages that were kept, unless they are installed."""
        listed = self.machine.listed()
        if all(listed.get(name) == (version, "installed") for name, version in wanted.items()):
            return []
        lacking = self.kept.lacking(wanted)
        if lacking:
            raise Refused(
                f"{', '.join(lacking)} of the version before is not in /{SNAPSHOT} any more. Install the version that you want with playbooks/site.yml."
            )
        if not self.check:
            self.machine.finish()
            cached = self.kept.cached()
            files = [cached[name][1] for name in wanted]
            done = self.machine.run(
                "apt-get", "--yes", "--no-install-recommends", "--allow-downgrades", *CONFOLD, "install", *files
            )
            if done.returncode:
                lines = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith(("E:", "dpkg", "dpkg-deb"))]
                raise Refused(
                    f"apt could not go back to {wanted['hailo-whisper']}: {' '.join(lines)[:600]} The packages are in /{SNAPSHOT}: "
                    "mend what it says, then run playbooks/rollback.yml."
                )
        return [f"{name} {version}" for name, version in wanted.items()]

    def tree_back(self, snapshot):
        """Put the environment back that was kept; what it was kept from may have gone on."""
        tree, kept, coming, gone = (self.machine.root / name for name in (TREE, KEPT_TREE, f"{TREE}.coming", f"{TREE}.gone"))
        if tree.exists() and measure(tree) == snapshot["tree"]:
            return []
        if not kept.exists() or measure(kept) != snapshot["tree"]:
            raise Refused(
                f"/{KEPT_TREE}, the environment of the version before, is not as it was kept. Install the version that you want with playbooks/site.yml."
            )
        if not self.check:
            remove(coming)
            remove(gone)
            copy_tree(kept, coming)
            if tree.exists():
                tree.rename(gone)
            coming.rename(tree)
            remove(gone)
        return [f"/{TREE}"]

    def files_back(self, snapshot):
        """Write the files as they were, each whole or not at all, and remove what the roles have put beside them since."""
        present = self.kept.files(snapshot["method"])
        changed = [name for name, file in snapshot["files"].items() if present.get(name) != file]
        more = [name for name in present if name not in snapshot["files"]]
        if not self.check:
            for name in changed:
                self.put(name, snapshot["files"][name])
            for name in more:
                (self.machine.root / name).unlink()
        return [f"/{name}" for name in changed + more]

    def diff(self, snapshot):
        """The lines of the configuration that are others than in the snapshot. It has no keys, which lie in a file of their own."""
        now = self.machine.contents(CONFIGURATION)
        then = {
            name: file for name, file in snapshot["files"].items() if any(fnmatch.fnmatch(name, each) for each in CONFIGURATION)
        }
        found = []
        for name in sorted({*now, *then}):
            sides = [lines(files.get(name)) for files in (now, then)]
            found += difflib.unified_diff(*sides, f"/{name} (now)", f"/{name} (of {snapshot['version']})", lineterm="")
        return found

    def put(self, name, file):
        """Write one of them."""
        path = self.machine.root / name
        part = path.with_name(f".{Path(name).name}.part")
        path.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        if "link" in file:
            part.symlink_to(file["link"])
        else:
            part.write_bytes(base64.b64decode(file["content"]))
            part.chmod(file["mode"])
            sync(part)
        part.replace(path)

    def take_effect(self, changed, socket):
        """Have the service run with it; `socket` is what its socket was."""
        run = self.machine.run
        rendered = run(PROGRAM, "config", "render")
        if rendered.returncode:
            raise Refused(
                f"The configuration was put back, and is not taken: {rendered.stderr.strip()[:600]} Mend it, then run playbooks/rollback.yml."
            )
        running = run("systemctl", "is-active", SERVICE_UNIT).stdout.strip() == "active"
        if not changed and "changed /" not in rendered.stdout.replace("unchanged /", "") and running:
            return
        run("systemctl", "daemon-reload")
        # One that could not be started too often is not started any more.
        run("systemctl", "reset-failed", SERVICE_UNIT, SOCKET_UNIT)
        if self.machine.contents(SOCKET) != socket:
            run("systemctl", "stop", SERVICE_UNIT)
            run("systemctl", "restart", SOCKET_UNIT)
        run("systemctl", "start", SOCKET_UNIT)
        # The service itself is asked later whether it is ready.
        run("systemctl", "restart", "--no-block", SERVICE_UNIT)


def lines(file):
    """Those of a file as `contents` has it; of None, when there is none, none."""
    if file is None:
        return []
    return [f"-> {file['link']}"] if "link" in file else base64.b64decode(file["content"]).decode(errors="replace").splitlines()

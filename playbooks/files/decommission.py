#!/usr/bin/python3
"""Takes hailo-whisper off this machine: prints JSON with what was `removed` and `kept`, what `failed`, and in `left` what its owner may still do.

What `failed` was to go and is still there. Where nothing can be done, it ends with the reason, before anything goes if that can be known. Again and again
is as good as once. What is removed with all that is in it is of our own folders, whatever the inventory says. The argument is a JSON object: `keep`: of
"models", "configuration" and "keys". `keys`, `store`: the paths of the key file and of the models. `check`: remove nothing, and say what would be. `root`:
of another file system, for tests.
"""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

USER = "hailo-whisper"
UNITS = "usr/lib/systemd/system/hailo-whisper*", "etc/systemd/system/hailo-whisper*", "etc/systemd/system/*.wants/hailo-whisper*"
# As patterns below the root: what the roles, the package, the repository of packages and the service itself make.
PLACED = (
    *UNITS,
    "usr/bin/hailo-whisper*",
    "usr/lib/hailo-whisper",
    "opt/hailo-whisper",
    "opt/hailo-whisper-pull",
    "etc/hailo-whisper-pull",
    "var/lib/hailo-whisper-pull",
    "var/lib/hailo-whisper-repository",
    "etc/apt/hailo-whisper*",
    "usr/share/man/man1/hailo-whisper.1*",
    "usr/share/man/man5/hailo-whisper.yaml.5*",
    "usr/share/bash-completion/completions/hailo-whisper",
    "usr/lib/sysusers.d/hailo-whisper.conf",
    "usr/lib/tmpfiles.d/hailo-whisper.conf",
    "usr/lib/udev/rules.d/70-hailo-whisper.rules",
    "etc/ansible/facts.d/hailo_whisper.fact",
    "etc/apt/sources.list.d/hailo-whisper*",
    "etc/apt/keyrings/hailo-whisper*",
    "usr/share/keyrings/hailo-whisper*",
    "etc/apt/preferences.d/hailo-whisper*",
    "etc/xdg/hailo-whisper",
    "var/cache/hailo-whisper",
    "run/hailo-whisper",
)
# States of a unit of which something is left.
RUNNING = "active", "activating", "deactivating", "reloading"
MODEL_PACKAGES = "hailo-whisper-model-"
HOME = "var/lib/hailo-whisper"
CONFIGURATION = "etc/hailo"
# Folders that we have made for others too, and that go when nobody has put anything in.
SHARED = "etc/ansible/facts.d", "etc/ansible", CONFIGURATION


def main():
    options = json.loads(sys.argv[1])
    print(json.dumps(Machine(options).clear()))


class Machine:
    """What is removed from it, in order."""

    def __init__(self, options):
        self.root = Path(options.get("root", "/"))
        self.real = str(self.root) == "/"
        if self.real and os.geteuid() != 0:
            sys.exit(
                "Root is needed, so nothing was removed. Run ansible-playbook with --become (and --ask-become-pass), or set ansible_become or "
                "ansible_user for this host in the inventory."
            )
        self.check = options["check"]
        for name, setting in (("keys", "access.keys"), ("store", "storage.models")):
            whole(setting, options[name])
        keep = options["keep"]
        self.keep_models = "models" in keep
        kept = {"models": options["store"], "keys": options["keys"], "configuration": f"/{CONFIGURATION}/hailo-whisper.yaml"}
        self.kept = [self.root / path.lstrip("/") for name, path in kept.items() if name in keep]
        if "configuration" in keep:
            self.kept.append(self.root / CONFIGURATION / "models.d")
        self.keys, self.store = (self.root / options[name].lstrip("/") for name in ("keys", "store"))
        # A path may lead through links: whichever name it goes by, what is to be kept is the same.
        self.spared = {name for path in self.kept for name in (path, path.resolve())}
        self.mounts = mounted() if self.real else set()
        self.removed = []
        self.failed = []
        self.left = []

    def clear(self):
        """Remove everything, and tell of it."""
        store = self.foreign_store()
        self.stop()
        self.purge()
        for pattern in PLACED:
            for path in sorted(self.root.glob(pattern)):
                self.remove(path)
        for path in (
            self.root / HOME,
            *sorted((self.root / CONFIGURATION).glob("hailo-whisper*")),
            self.root / CONFIGURATION / "models.d",
        ):
            self.remove(path)
        self.remove_keys()
        if store:
            # A folder of the owner's choice may be somebody else's too.
            self.left.append(
                f"The models in {named(store, self.root)} stay, because that folder is not ours: remove it if nobody needs it."
            )
        for folder in SHARED:
            self.remove_empty(self.root / folder)
        self.forget_user()
        if self.real and not self.check and self.removed:
            run("systemctl", "daemon-reload")
            run("systemctl", "reset-failed", "hailo-whisper*")
            if Path("/run/udev/control").exists():
                run("udevadm", "control", "--reload")
        kept = [path for path in self.kept if path.exists()]
        return {
            "removed": self.removed,
            "kept": [named(path, self.root) for path in kept],
            "failed": self.failed,
            "left": self.left,
        }

    def stop(self):
        """End the service and its socket before anything of them goes, so that nobody is served by half of it."""
        if not self.real:
            return
        loaded = run("systemctl", "list-units", "--all", "--plain", "--no-legend", "hailo-whisper*").split("\n")
        units = [line.split()[0] for line in loaded if line.strip()]
        if units and not self.check:
            # The sockets and timers first: they would start what they are for.
            run("systemctl", "stop", *sorted(units, key=lambda unit: unit.endswith(".service")))
            run("systemctl", "disable", *units)
            for unit in sorted(units):
                state = run("systemctl", "is-active", unit).strip()
                if state in RUNNING:
                    self.failed.append(
                        f"{unit} could not be stopped ({state}), and what is left of it runs on: `systemctl kill -s KILL {unit}`, or restart "
                        "the machine, and run this again."
                    )

    def purge(self):
        """Have dpkg forget the packages. The configuration and the models go by the same rules as without packages."""
        if not self.real:
            return
        listed = run("dpkg-query", "--show", "--showformat=${db:Status-Status} ${Package}\\n", "hailo-whisper*").splitlines()
        packages = [line.split()[1] for line in listed if line.strip() and not line.startswith("not-installed")]
        if self.keep_models:
            packages = [name for name in packages if not name.startswith(MODEL_PACKAGES)]
        self.removed += [f"the package {name}" for name in packages]
        stash = [] if self.check else [(path, path.read_bytes(), path.stat()) for path in self.kept if path.is_file()]
        if packages:
            # A package that another one needs is refused by this before anything goes, too.
            why = failure("dpkg", *(["--no-act"] if self.check else []), "--purge", *packages)
            if why:
                sys.exit(
                    f"dpkg could not purge {', '.join(packages)}: {why} Mend that (`dpkg --configure -a`), and run this again."
                )
            for path, content, status in stash:
                put_back(path, content, status)

    def foreign_store(self):
        """The folder of the models that is to stay without having been asked for; None when it goes with our own."""
        home, real = self.root / HOME, self.store.resolve()
        ours = home in self.store.parents and not home.is_symlink() and home.resolve() in real.parents
        if ours or not self.store.exists() or self.keep_models:
            return None
        return real if home in self.store.parents else self.store

    def remove(self, path):
        """Remove a file or a folder, but for what is to be kept in it."""
        if not (path.exists() or path.is_symlink()) or named(path, self.root) in self.removed or self.spares(path):
            return
        if path.is_dir() and not path.is_symlink() and (self.spares_inside(path) or self.mounts_inside(path)):
            for inner in sorted(path.iterdir()):
                self.remove(inner)
            if path in self.mounts and not self.spares_inside(path):
                self.left.append(
                    f"{named(path, self.root)} stays, because something is mounted there: unmount it, and remove it then."
                )
            return
        if not self.check:
            try:
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
            except OSError as error:
                self.failed.append(
                    f"{named(path, self.root)} could not be removed ({error.strerror or error}): mend that, and run this again."
                )
                return
        self.removed.append(named(path, self.root))

    def spares(self, path):
        """Whether a path is to be kept, or leads to what is: a link to it is its name, by which it is looked for later."""
        names = {path, path.parent.resolve() / path.name} | ({path.resolve()} if path.is_symlink() else set())
        if any(name == keep or keep in name.parents for name in names for keep in self.spared if keep.exists()):
            return True
        return path.is_symlink() and self.spares_inside(path)

    def spares_inside(self, path):
        """Whether anything below a folder is to be kept."""
        names = {path, path.resolve()}
        return any(name in keep.parents for name in names for keep in self.spared if keep.exists())

    def mounts_inside(self, path):
        """Whether another file system begins at a folder or below it: that folder cannot be removed."""
        return any(path == mount or path in mount.parents for mount in self.mounts)

    def remove_keys(self):
        """Remove the key file where the inventory has it. Only a file: a folder that is named there by mistake may be anybody's."""
        if self.keys.is_file():
            self.remove(self.keys)
        elif self.keys.exists() and self.keys not in self.kept:
            self.left.append(
                f"{named(self.keys, self.root)} (access.keys in hailo_whisper_config) stays, because it is no file: set that to the key file."
            )

    def remove_empty(self, path):
        """Remove a folder in which nothing is any more. Others use it too: it may go, or be used again, at this very moment."""
        try:
            if path.is_dir() and not any(path.iterdir()) and not self.check:
                path.rmdir()
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTEMPTY):
                self.failed.append(
                    f"{named(path, self.root)} is empty and could not be removed ({error.strerror or error}): mend that, and run this again."
                )

    def forget_user(self):
        """What is kept becomes root's, because the number of a user that is gone may become somebody else's."""
        if not self.real or not known():
            return
        if self.check:
            self.removed.append(f"the user {USER}")
            return
        for path in self.kept:
            if path.exists():
                disown(path.resolve(), "--recursive")
        if (self.root / HOME).exists():
            disown(self.root / HOME)
        # Of that name, `userdel` takes the group as well, as a rule.
        said = [failure("userdel", USER), failure("groupdel", USER)]
        if known():
            self.failed.append(
                f"The user {USER} stays ({next(filter(None, said), 'nobody says why')}): end what it still runs, `pkill -KILL -u {USER}`, or "
                "restart the machine, and run this again."
            )
        else:
            self.removed.append(f"the user {USER}")
        if run("getent", "group", "hailo").rstrip().endswith(":"):
            self.left.append(
                "The group hailo has no member any more: `groupdel hailo` removes it, if no other program's rule names it."
            )


def whole(setting, path):
    """End everything before it begins, where a path of the inventory could be anything."""
    if not path.startswith("/") or ".." in Path(path).parts or not path.strip("/"):
        sys.exit(
            f"{setting} in hailo_whisper_config is {path!r}, so nothing was removed. Set it to the whole path, from / on and without `..`, "
            "and run this again."
        )


def named(path, root):
    """A path as the machine itself names it."""
    return f"/{path.relative_to(root)}" if root in path.parents or path == root else str(path)


def mounted():
    """Where file systems are mounted."""
    try:
        lines = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return set()
    # Blanks in a path are written as octal numbers there.
    return {Path(re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), line.split(" ")[1])) for line in lines}


def disown(path, *how):
    """Give root what belongs to the user of the service, and nothing of anybody else's: the folder may be its owner's."""
    run("chown", *how, "--no-dereference", f"--from={USER}", "root", str(path))
    run("chown", *how, "--no-dereference", f"--from=:{USER}", ":root", str(path))


def put_back(path, content, status):
    """A file that the purge has taken, as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(content)
    path.chmod(status.st_mode & 0o7777)


def known():
    """Whether the machine has the user of the service, or its group."""
    return bool(run("getent", "passwd", USER) or run("getent", "group", USER))


def failure(*command):
    """What a command says when it fails, on one line; nothing when it does not fail."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False
    )
    return " ".join(done.stderr.split()) or f"it ended with {done.returncode}" if done.returncode else ""


def run(*command):
    """What a command prints; nothing when it fails."""
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False
    ).stdout


if __name__ == "__main__":
    main()

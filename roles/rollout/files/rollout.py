#!/usr/bin/python3
"""What a roll-out keeps of this machine and does to it: prints JSON. The first argument is the command, the second a JSON object.

`look`: what is installed, what its last roll-out has noted, and what it would go back to; `ask_apt`: whether apt can be asked for packages. `begin`: take
the snapshot, and note in the ledger what begins (`entry`). `end`: note what came of it (`entry`). `back`: put back what the snapshot has, or, with
`check`, say what would be; with `diff`, what is another line of the configuration. `fetch`: have apt download packages (`packages`, by their versions) into what is kept. All of them: `root`, of another file system, for tests; each can be cut off and run again.

The snapshot is of the version before: a roll-out that was cut off or failed leaves it as it is for the next one. API keys are not in it, so that a key
that was taken back stays so; neither are models, but for their sums.
"""

import base64
import difflib
import fnmatch
import hashlib
import http.client
import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

LEDGER = "var/lib/hailo-whisper/rollout.json"
# Root's alone. The environment lies beside the one in use, so that a link to each of its files will do.
SNAPSHOT = "var/lib/hailo-whisper/rollback"
TREE, STAMP, KEPT_TREE = "opt/hailo-whisper/venv", "opt/hailo-whisper/installed", "opt/hailo-whisper/rollback"
PROGRAM = f"{TREE}/bin/hailo-whisper"
CONFIGURATION = "etc/hailo/hailo-whisper.yaml", "etc/hailo/models.d/*.yaml"
RENDERED = "etc/xdg/hailo-whisper/hailo-whisper.json"
EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # to be asked, and not bound to
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
SOCKET = "usr/lib/systemd/system/hailo-whisper.socket", "etc/systemd/system/hailo-whisper.socket.d/*"
SERVICE_UNIT, SOCKET_UNIT = "hailo-whisper.service", "hailo-whisper.socket"
UNFINISHED = "under way", "failed"
REMEMBERED = 9
"""Earlier roll-outs that the ledger has."""
CONFOLD = [
    "-oDPkg::Options::=--force-confdef",
    "-oDPkg::Options::=--force-confold",
    "-oDPkg::Lock::Timeout=300",
    "-oDPkg::Use-Pty=0",
]


class Refused(Exception):
    """What cannot be done, as a sentence that says what to do."""


def main():
    command, options = sys.argv[1], json.loads(sys.argv[2])
    host = Host(Path(options.get("root", "/")))
    try:
        print(json.dumps(getattr(host, command)(options)))
    except Refused as refused:
        sys.exit(str(refused))
    except OSError as error:
        sys.exit(
            f"{error.filename or 'A file'} could not be read or written ({error.strerror}). Mend that, and run the playbook again."
        )


class Host:
    """The machine, as far as a roll-out is concerned."""

    def __init__(self, root):
        self.root = root
        self.kept = root / SNAPSHOT

    def look(self, options):
        """What there is."""
        snapshot, ledger = self.snapshot(), read(self.root / LEDGER) or {}
        unfinished = self.unfinished(ledger, snapshot)
        packages = snapshot["packages"] if unfinished else self.packages()
        there = self.cached()
        lacking = {name: version for name, version in packages.items() if there.get(name, ("",))[0] != version}
        return {
            "version": self.version(),
            "method": self.method(),
            "stamp": text(self.root / STAMP) or "",
            "ledger": ledger,
            "snapshot": {name: snapshot[name] for name in ("version", "method", "packages")} if snapshot else None,
            "unfinished": unfinished,
            "since": self.since(ledger) if snapshot else [],
            "ready": self.ready(),
            "lacking": lacking,
            "apt_lacks": [name for name, version in lacking.items() if not self.apt_has(name, version)]
            if options["ask_apt"]
            else [],
        }

    def fetch(self, options):
        """Have apt bring the packages of the version before. Each is kept when it is whole: what a download that was cut off has left is not."""
        coming = self.kept / "coming"
        remove(coming)
        self.kept.mkdir(parents=True, exist_ok=True, mode=0o700)
        coming.mkdir()
        wanted = [f"{name}={version}" for name, version in sorted(options["packages"].items())]
        # As root, where apt's own user may not look.
        done = self.run("apt-get", "-oAPT::Sandbox::User=root", "download", *wanted, folder=coming)
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
        return {"brought": [path.name for path in brought]}

    def begin(self, options):
        """Be able to go back, and say so."""
        ledger = read(self.root / LEDGER) or {}
        if self.unfinished(ledger, self.snapshot()):
            # What an installation that was cut off has left; what of it cannot be finished, the next one or the way back replaces.
            self.run("dpkg", "--force-confdef", "--force-confold", "--configure", "-a")
        else:
            self.take()
        entry = {**options["entry"], "from": self.snapshot()["version"], "outcome": "under way"}
        earlier = [{name: value for name, value in ledger.items() if name not in ("earlier", "configuration")}] if ledger else []
        self.write(LEDGER, {**entry, "earlier": (earlier + ledger.get("earlier", []))[:REMEMBERED]})
        return entry

    def end(self, options):
        """Note what came of it."""
        ledger = {**(read(self.root / LEDGER) or {}), **options["entry"]}
        if ledger["outcome"] == "done":
            ledger["configuration"] = self.configuration()
        self.write(LEDGER, ledger)
        return {name: value for name, value in ledger.items() if name != "earlier"}

    def back(self, options):
        """The snapshot's version with its configuration. Gives what was changed."""
        snapshot = self.snapshot()
        if not snapshot:
            raise Refused(
                "There is no snapshot to go back to: nothing was rolled out here. Install the version that you want with playbooks/site.yml."
            )
        check, changed = options.get("check", False), []
        socket, diff = self.contents(SOCKET), self.diff(snapshot) if options.get("diff") else []
        if snapshot["method"] == "deb":
            changed += self.packages_back(snapshot["packages"], check)
        else:
            changed += self.tree_back(snapshot, check)
        changed += self.files_back(snapshot, check)
        if not check:
            self.take_effect(changed, socket)
        return {
            "changed": changed,
            "diff": diff,
            "version": snapshot["version"],
            "models": sorted(name for name, sums in snapshot["models"].items() if self.models().get(name) != sums),
        }

    # What there is.

    def snapshot(self):
        """What was kept; None when it is not whole."""
        return read(self.kept / "snapshot.json")

    def unfinished(self, ledger, snapshot):
        """Whether a roll-out was cut off or failed. Where somebody has installed a third version since, it is that which is to be gone back to next."""
        return bool(snapshot) and ledger.get("outcome") in UNFINISHED and self.is_of(ledger)

    def is_of(self, ledger):
        """Whether what is installed is of that roll-out: the version before, the one that it brings, or a half of one.

        One that goes on with another that was cut off may find the other's version too.
        """
        others = itertools.takewhile(lambda entry: entry.get("outcome") in UNFINISHED, ledger.get("earlier") or [])
        version, brought = self.version(), [entry.get("to") or "" for entry in (ledger, *others)]
        if not version or any(status != "installed" for _, status in self.listed().values()):
            return True
        return version == ledger.get("from") or any(to and (version == to or version.startswith(f"{to}+deb")) for to in brought)

    def since(self, ledger):
        """What was changed after the last roll-out by somebody else, who would not expect that going back undoes it."""
        found = (
            [f"hailo-whisper {self.version()}"]
            if ledger.get("outcome") in (*UNFINISHED, "done") and not self.is_of(ledger)
            else []
        )
        if ledger.get("outcome") == "done" and "configuration" in ledger:
            then, now = ledger["configuration"], self.configuration()
            found += [f"/{name}" for name in sorted({*then, *now}) if then.get(name) != now.get(name)]
        return found

    def configuration(self):
        """The sum of each file of the configuration."""
        return {name: summed(file) for name, file in self.contents(CONFIGURATION).items()}

    def version(self):
        """The version, as dpkg has it, or of the program in the environment; "" without one."""
        packages = self.packages()
        if packages:
            return packages["hailo-whisper"]
        found = sorted((self.root / TREE).glob("lib/python3*/site-packages/hailo_whisper-*.dist-info"))
        return found[0].name.removesuffix(".dist-info").split("-")[1] if found else ""

    def method(self):
        """How it was installed; "" when it was not."""
        return "deb" if self.packages() else "venv" if (self.root / TREE).exists() else ""

    def packages(self):
        """The version of the service's package and of those for accelerators, which must be of the same version. What dpkg has begun with counts."""
        ours = {name: version for name, (version, _) in self.listed().items()}
        return ours if "hailo-whisper" in ours else {}

    def listed(self):
        """Version and status of each of these packages that is there, or half there."""
        asked = self.run(
            "dpkg-query", "--show", "--showformat=${Package} ${Version} ${db:Status-Status}\n", "hailo-whisper*"
        ).stdout
        rows = [line.split() for line in asked.splitlines() if len(line.split()) == 3]
        return {
            name: (version, status)
            for name, version, status in rows
            if status not in ("not-installed", "config-files") and counts(name)
        }

    def cached(self):
        """Version and file of each package that is kept here."""
        found = {}
        # One with a dot is on its way from the controller.
        for path in sorted(self.kept.glob("[!.]*.deb")):
            fields = self.run("dpkg-deb", "--show", "--showformat=${Package} ${Version}", path).stdout.split()
            if len(fields) == 2:
                found[fields[0]] = (fields[1], path)
        return found

    def apt_has(self, name, version):
        """Whether apt could download it."""
        return self.run("apt-cache", "show", f"{name}={version}").returncode == 0

    def ready(self):
        """Whether the service says that it is."""
        server = (read(self.root / RENDERED) or {}).get("server") or {}
        host = server.get("host") or "127.0.0.1"
        connection = http.client.HTTPConnection(EVERY_ADDRESS.get(host, host), server.get("port") or 11437, timeout=5)
        try:
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def models(self):
        """The sums of each model's files, as they were when it was verified."""
        settings = read(self.root / RENDERED) or {}
        store = self.root / ((settings.get("storage") or {}).get("models") or "/var/lib/hailo-whisper/models").lstrip("/")
        found = {}
        for path in sorted(store.glob("[!.]*/manifest.json")):
            try:
                files = read(path)["files"]
                found[path.parent.name] = {name: files[name]["sha256"] for name in sorted(files)}
            except (KeyError, TypeError):
                # What nobody has verified has no sum to be compared with.
                continue
        return found

    def contents(self, patterns):
        """Files by their path from the root on, each with what is needed to write it again."""
        found = {}
        for path in sorted(path for pattern in patterns for path in self.root.glob(pattern)):
            name = str(path.relative_to(self.root))
            if path.is_symlink():
                found[name] = {"link": str(path.readlink())}
            elif path.is_file():
                found[name] = {"mode": path.stat().st_mode & 0o7777, "content": base64.b64encode(path.read_bytes()).decode()}
        return found

    # The snapshot.

    def take(self):
        """Take the snapshot, in the place of the one before. Its note is written last: without it there is none."""
        method, packages = self.method(), self.packages()
        if not method:
            raise Refused(
                "hailo-whisper is not installed here, so there is nothing to roll out over. Deploy it first (playbooks/site.yml)."
            )
        cached = self.cached()
        lacking = [name for name, version in packages.items() if cached.get(name, ("",))[0] != version]
        if lacking:
            raise Refused(f"The packages of the version before are not here: {', '.join(lacking)}. Run the playbook again.")
        self.kept.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.kept.chmod(0o700)
        (self.kept / "snapshot.json").unlink(missing_ok=True)
        for path in self.kept.glob("*.deb"):
            if path not in [file for name, (_, file) in cached.items() if name in packages]:
                path.unlink()
        remove(self.root / KEPT_TREE)
        if method == "venv":
            copy_tree(self.root / TREE, self.root / KEPT_TREE)
        snapshot = {
            "version": self.version(),
            "method": method,
            "packages": packages,
            "files": self.contents(CONFIGURATION + (PLACED if method == "venv" else ())),
            "models": self.models(),
            "tree": measure(self.root / KEPT_TREE) if method == "venv" else None,
        }
        # All that it speaks of has to be there after a power cut, if it is.
        os.sync()
        self.write(f"{SNAPSHOT}/snapshot.json", snapshot, 0o600)

    # The way back.

    def packages_back(self, wanted, check):
        """Install the packages that were kept, unless they are installed."""
        asked = self.run(
            "dpkg-query", "--show", "--showformat=${Package} ${Version} ${db:Status-Status}\n", "hailo-whisper*"
        ).stdout.splitlines()
        if all(f"{name} {version} installed" in asked for name, version in wanted.items()):
            return []
        cached = self.cached()
        lacking = [name for name, version in wanted.items() if cached.get(name, ("",))[0] != version]
        if lacking:
            raise Refused(
                f"{', '.join(lacking)} of the version before is not in /{SNAPSHOT} any more. Install the version that you want with playbooks/site.yml."
            )
        if not check:
            self.run("dpkg", "--force-confdef", "--force-confold", "--configure", "-a")
            files = [cached[name][1] for name in wanted]
            done = self.run("apt-get", "--yes", "--no-install-recommends", "--allow-downgrades", *CONFOLD, "install", *files)
            if done.returncode:
                lines = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith(("E:", "dpkg", "dpkg-deb"))]
                raise Refused(
                    f"apt could not go back to {wanted['hailo-whisper']}: {' '.join(lines)[:600]} The packages are in /{SNAPSHOT}: "
                    "mend what it says, then run playbooks/rollback.yml."
                )
        return [f"{name} {version}" for name, version in wanted.items()]

    def tree_back(self, snapshot, check):
        """Put the environment back that was kept; what it was kept from may have gone on."""
        tree, kept, coming, gone = (self.root / name for name in (TREE, KEPT_TREE, f"{TREE}.coming", f"{TREE}.gone"))
        if tree.exists() and measure(tree) == snapshot["tree"]:
            return []
        if not kept.exists() or measure(kept) != snapshot["tree"]:
            raise Refused(
                f"/{KEPT_TREE}, the environment of the version before, is not as it was kept. Install the version that you want with playbooks/site.yml."
            )
        if not check:
            remove(coming)
            remove(gone)
            copy_tree(kept, coming)
            if tree.exists():
                tree.rename(gone)
            coming.rename(tree)
            remove(gone)
        return [f"/{TREE}"]

    def files_back(self, snapshot, check):
        """Write the files as they were, each whole or not at all, and remove what the roles have put beside them since."""
        present = self.contents(CONFIGURATION + (PLACED if snapshot["method"] == "venv" else ()))
        changed = [name for name, file in snapshot["files"].items() if present.get(name) != file]
        more = [name for name in present if name not in snapshot["files"]]
        if not check:
            for name in changed:
                self.put(name, snapshot["files"][name])
            for name in more:
                (self.root / name).unlink()
        return [f"/{name}" for name in changed + more]

    def diff(self, snapshot):
        """The lines of the configuration that are others than in the snapshot. It has no keys, which lie in a file of their own."""
        now = self.contents(CONFIGURATION)
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
        path, part = self.root / name, (self.root / name).with_name(f".{Path(name).name}.part")
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
        """Have the service run with it."""
        rendered = self.run(PROGRAM, "config", "render")
        if rendered.returncode:
            raise Refused(
                f"The configuration was put back, and is not taken: {rendered.stderr.strip()[:600]} Mend it, then run playbooks/rollback.yml."
            )
        running = self.run("systemctl", "is-active", SERVICE_UNIT).stdout.strip() == "active"
        if not changed and "changed /" not in rendered.stdout.replace("unchanged /", "") and running:
            return
        self.run("systemctl", "daemon-reload")
        # One that could not be started too often is not started any more.
        self.run("systemctl", "reset-failed", SERVICE_UNIT, SOCKET_UNIT)
        if self.contents(SOCKET) != socket:
            self.run("systemctl", "stop", SERVICE_UNIT)
            self.run("systemctl", "restart", SOCKET_UNIT)
        self.run("systemctl", "start", SOCKET_UNIT)
        # The service itself is asked later whether it is ready.
        self.run("systemctl", "restart", "--no-block", SERVICE_UNIT)

    # What is below all of it.

    def run(self, program, *arguments, folder=None):
        """A program of the machine, with nobody to ask. 127 when it is not there."""
        path = self.root / (program if "/" in program else f"usr/bin/{program}")
        environment = {**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
        command = [str(path), *map(str, arguments)]
        if not path.exists():
            return subprocess.CompletedProcess(command, 127, "", f"There is no {path}.")
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=environment, cwd=folder
        )

    def write(self, name, content, mode=0o644):
        """Write JSON, whole or not at all, so that it is there after a power cut."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as stream:
            json.dump(content, stream, indent=1)
            stream.write("\n")
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        part.replace(path)


def counts(name):
    """Whether a package goes from version to version with the service. Models and CUDA's libraries have versions of their own."""
    return name == "hailo-whisper" or name.startswith("hailo-whisper-accel-")


def text(path):
    """What a file says; None when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None


def read(path):
    """The object in a file of JSON; None when there is none, or it is damaged."""
    try:
        found = json.loads(text(path) or "")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def lines(file):
    """Those of a file as `contents` has it; of None, when there is none, none."""
    if file is None:
        return []
    return [f"-> {file['link']}"] if "link" in file else base64.b64decode(file["content"]).decode(errors="replace").splitlines()


def sync(path):
    """Have a file on the disk, so that it is not empty after a power cut."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def remove(path):
    """A folder with all that is in it."""
    if path.exists():
        shutil.rmtree(path)


def copy_tree(source, target):
    """A folder again, without taking room: pip and venv never write into a file that is there. Where links cannot be had, a copy."""

    def place(one, other):
        try:
            os.link(one, other, follow_symlinks=False)
        except OSError:
            shutil.copy2(one, other)

    part = target.with_name(f"{target.name}.part")
    remove(part)
    shutil.copytree(source, part, symlinks=True, copy_function=place)
    part.rename(target)


def measure(tree):
    """What tells one state of a tree from another: each file with its length and when it was written. Python's own cache comes and goes."""
    found = []
    for folder, names, files in os.walk(tree):
        names[:] = sorted(name for name in names if name != "__pycache__")
        for name in sorted(files):
            path = Path(folder, name)
            status = path.lstat()
            found.append(
                [
                    str(path.relative_to(tree)),
                    0 if path.is_symlink() else status.st_size,
                    0 if path.is_symlink() else status.st_mtime_ns,
                ]
            )
    return summed(found)


def summed(value):
    """A sum of anything that can be written as JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


if __name__ == "__main__":
    main()

#!/usr/bin/python3
"""Fetches the playbooks of this machine and applies them, if a known key has signed the newest commit. hailo-whisper-pull.timer runs it.

`ansible-pull --verify-commit` checks a commit out before it looks at its signature, so that what was refused lies in the tree from then on. Here
nothing is checked out that is not verified, and the tree that is applied is made anew of the commit each time.

Exit status: 0 applied, or nothing to do; 75 the repository cannot be reached, or another run is at it (nothing was touched); 1 refused or failed.
`--force` applies what was applied already. Two further arguments are the folders of the settings and of the state, for tests.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

SETTINGS, STATE = Path("/etc/hailo-whisper-pull"), Path("/var/lib/hailo-whisper-pull")
SETTINGS_KEYS = {"repository", "branch", "inventory", "host", "ansible", "environment"}
LATER = 75
# What was changed on the machine by hand is put right once a day.
AGAIN_SECONDS = 86400
FETCH_SECONDS = 600
# Asked by git for the name and the password of an address. They reach it so, because everybody on the machine sees its arguments.
HELPER = """!told() { test "$1" != get || printf 'username=%s\\npassword=%s\\n' "$PULL_NAME" "$PULL_PASSWORD"; }; told"""


class Refused(Exception):
    """What is not applied, as a sentence that says what to do."""


class Away(Exception):
    """What may be otherwise the next time."""


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--force"]
    settings, state = map(Path, arguments) if arguments else (SETTINGS, STATE)
    try:
        return Puller(settings, state).run(force="--force" in sys.argv)
    except Away as away:
        print(f"{away} Nothing was touched; the timer tries again.", file=sys.stderr)
        return LATER
    except Refused as refused:
        print(f"REFUSED: {refused} What was applied before stays.", file=sys.stderr)
        return 1


class Puller:
    """One machine's."""

    def __init__(self, folder, state):
        self.folder, self.state = folder, state
        self.settings = known(folder / "settings.json")
        # Whatever the inventory has, a number, say: a process is given text alone.
        self.environment = {name: str(value) for name, value in self.settings["environment"].items()}
        self.mirror, self.tree, self.applied = state / "mirror", state / "tree", state / "applied"

    def run(self, *, force):
        """Fetch, verify, apply. Gives the exit status."""
        with (self.state / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Away("Another run is at it.") from None
            commit = self.fetch()
            before = self.before()
            self.verify(commit, before)
            if commit == before and not force and not self.due():
                print(f"{commit} is applied already.")
                return 0
            self.check_out(commit)
            return self.apply(commit)

    def fetch(self):
        """The newest commit of the branch. Raises Away when the repository does not answer."""
        # No other run is at it, so these are of one that was cut off, and git would wait for them for ever.
        for stale in self.mirror.rglob("*.lock"):
            stale.unlink()
        self.begin()
        said = self.fetched()
        if said and self.broken():
            # It has nothing that the repository has not.
            print("The copy of the repository is broken, as after a power cut: fetching it anew.", file=sys.stderr)
            shutil.rmtree(self.mirror)
            self.begin()
            said = self.fetched()
        if said:
            raise Away(f"The branch {self.settings['branch']} could not be fetched: {said}")
        return self.git("rev-parse", "--verify", "refs/heads/pulled^{commit}").stdout.strip()

    def begin(self):
        """Have a mirror, if there is none."""
        if not (self.mirror / "HEAD").exists():
            shutil.rmtree(self.mirror, ignore_errors=True)
            self.git("init", "--quiet", "--bare", str(self.mirror), at=None)

    def fetched(self):
        """Fetch the branch. Gives what git says when it cannot; "" when it could."""
        refspec = f"refs/heads/{self.settings['branch']}:refs/heads/pulled"
        done = self.git("fetch", "--quiet", "--no-tags", "--force", "--end-of-options", "origin", refspec, check=False)
        return words(done) if done.returncode else ""

    def broken(self):
        """Whether the mirror is none any more, or lacks something of what it has fetched."""
        looks = ("rev-parse", "--git-dir"), ("fsck", "--connectivity-only", "--no-dangling")
        return any(self.git(*look, check=False).returncode for look in looks)

    def before(self):
        """The commit that was applied last; "" when there is none."""
        return self.applied.read_text(encoding="ascii").strip() if self.applied.exists() else ""

    def due(self):
        """Whether what is applied is to be applied again."""
        # Where it was noted before the clock was set, that may be far in the future.
        return abs(time.time() - self.applied.stat().st_mtime) > AGAIN_SECONDS

    def verify(self, commit, before):
        """Raise Refused unless a known key has signed the commit, and it goes on from the one before."""
        signers = self.folder / "allowed_signers"
        # No signature by GnuPG counts: the machine may know keys for other ends.
        known = [
            "-c",
            f"gpg.ssh.allowedSignersFile={signers}",
            "-c",
            "gpg.program=/bin/false",
            "-c",
            "gpg.x509.program=/bin/false",
        ]
        done = self.git(*known, "verify-commit", commit, check=False)
        if done.returncode:
            raise Refused(
                f"No key of {signers} has signed the commit {commit}. Sign it (`git commit --amend -S`), or add the key to hailo_whisper_pull_signers."
            )
        if before and commit != before and self.git("merge-base", "--is-ancestor", before, commit, check=False).returncode:
            raise Refused(
                f"The commit {commit} does not go on from {before}, which was applied last: the branch was rewritten or set back. If that is meant, "
                f"remove {self.applied} and run this again; to take something back, revert it in a new commit."
            )

    def check_out(self, commit):
        """Have the tree of the commit, and nothing else, in its folder."""
        new = self.tree.with_name("tree.new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        # Of its own, so that what a run left that was cut off is in nobody's way.
        index = self.state / "index"
        for stale in (index, index.with_name("index.lock")):
            stale.unlink(missing_ok=True)
        hooks = "core.hooksPath=/dev/null"
        self.git(
            f"--work-tree={new}", "-c", hooks, "checkout", "--quiet", "--force", commit, "--", ".", GIT_INDEX_FILE=str(index)
        )
        shutil.rmtree(self.tree, ignore_errors=True)
        new.rename(self.tree)

    def apply(self, commit):
        """Run the playbook on this machine alone."""
        settings = self.settings
        vault = self.folder / "vault_password"
        command = [
            settings["ansible"],
            f"--inventory={settings['inventory']}",
            f"--limit={settings['host']}",
            "--connection=local",
            *([f"--vault-password-file={vault}"] if vault.exists() else []),
            "playbooks/site.yml",
        ]
        # The name is the machine's own here, whatever the inventory has for those who come by SSH.
        command += ["--extra-vars", json.dumps({"ansible_connection": "local", "ansible_become": False})]
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.state),
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_NOCOLOR": "1",
        } | self.environment
        print(f"Applying {commit}.", flush=True)
        done = subprocess.run(command, cwd=self.tree, env=environment, stdin=subprocess.DEVNULL, check=False)
        if done.returncode:
            print(f"FAILED: {commit} could not be applied, as it says above. The timer tries again.", file=sys.stderr)
            # Not to be taken for done, also not when it is the same as before.
            self.applied.touch()
            os.utime(self.applied, (0, 0))
            return 1
        part = self.applied.with_name("applied.new")
        part.write_text(f"{commit}\n", encoding="ascii")
        part.replace(self.applied)
        print(f"Applied {commit}.")
        return 0

    def git(self, *arguments, at="mirror", check=True, **more):
        """Run git, in the mirror, with nothing but our own settings, and `more` in the environment. Raises Refused where it fails and must not."""
        key, hosts = self.folder / "key", self.folder / "known_hosts"
        ssh = [
            "ssh",
            "-F",
            "/dev/null",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=yes",
            "-o",
            f"UserKnownHostsFile={hosts}",
            "-o",
            "ConnectTimeout=30",
        ]
        ssh += ["-i", str(key), "-o", "IdentitiesOnly=yes"] if key.exists() else []
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.state),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_SSH_COMMAND": " ".join(ssh),
            "LC_ALL": "C.UTF-8",
        }
        environment |= self.environment | origin(self.settings["repository"]) | more
        place = [f"--git-dir={self.mirror}"] if at else []
        try:
            done = subprocess.run(
                ["git", *place, *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=FETCH_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Away(f"git took longer than {FETCH_SECONDS} s.") from None
        if check and done.returncode:
            raise Refused(
                f"git could not do its part: {words(done)}. See whether the disk is full; else remove {self.mirror}, which is fetched anew."
            )
        return done


def known(path):
    """What playbooks/pull.yml has written. Raises Refused when it is not there as a whole, after a power cut, say."""
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        whole = settings.keys() >= SETTINGS_KEYS and isinstance(settings["environment"], dict)
    except (OSError, ValueError, AttributeError):
        whole = False
    if not whole:
        raise Refused(
            f"{path} is damaged or not there, so that nobody knows what to fetch. Run playbooks/pull.yml for this machine again, over a connection."
        )
    return settings


def words(done):
    """The end of what git said when it failed."""
    return " ".join(done.stderr.split())[-300:] or f"git ended with {done.returncode}"


def origin(address):
    """The environment in which git knows the repository as `origin`, with what it needs to be let in."""
    parts = urlsplit(address)
    told = {}
    if parts.scheme in ("http", "https") and "@" in parts.netloc:
        name, _, password = parts.netloc.rpartition("@")[0].partition(":")
        address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        told = {"PULL_NAME": unquote(name), "PULL_PASSWORD": unquote(password)}
    settings = {"remote.origin.url": address} | ({"credential.helper": HELPER} if told else {})
    for number, (name, value) in enumerate(settings.items()):
        told |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return told | {"GIT_CONFIG_COUNT": str(len(settings))}


if __name__ == "__main__":
    sys.exit(main())

"""The role `pull`: what a known key has signed is applied, and nothing else. Git and ssh-keygen are real; the playbook is a note of what was run."""

import base64
import fcntl
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

ANSIBLE = """#!/bin/sh
echo "$@" >> {notes}
test ! -e fail
"""


def git(folder: Path, *arguments: str, **environment: str) -> str:
    fixed = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(folder)}
    author = {f"GIT_{who}_{what}": "t@example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        env=os.environ | fixed | author | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


class Fleet:
    """A repository, who may sign, and a machine that pulls."""

    def __init__(self, project: Path, folder: Path) -> None:
        self.project, self.folder = project, folder
        self.repository, self.settings, self.state = folder / "repository", folder / "settings", folder / "state"
        for made in (self.repository, self.settings, self.state):
            made.mkdir()
        for name in ("owner", "stranger"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", folder / name], check=True)
        git(self.repository, "init", "--quiet", "--initial-branch=main")
        self.notes = folder / "notes"
        (folder / "ansible-playbook").write_text(ANSIBLE.format(notes=self.notes))
        (folder / "ansible-playbook").chmod(0o755)
        (self.settings / "allowed_signers").write_text(f'hailo-whisper namespaces="git" {(folder / "owner.pub").read_text()}')
        self.configure()

    def configure(self, **more: Any) -> None:
        settings = {
            "repository": str(self.repository),
            "branch": "main",
            "inventory": "inventory/mine",
            "host": "attic",
            "ansible": str(self.folder / "ansible-playbook"),
            "environment": {},
        }
        (self.settings / "settings.json").write_text(json.dumps(settings | more))

    def commit(self, text: str, key: str | None = "owner", file: str = "playbook") -> str:
        """A commit, signed by that key."""
        (self.repository / file).write_text(text)
        git(self.repository, "add", "--all")
        signed = ["-c", "gpg.format=ssh", "-c", f"user.signingKey={self.folder / str(key)}"]
        git(self.repository, *(signed if key else []), "commit", "--quiet", "--allow-empty", "-m", text, *(["-S"] if key else []))
        return git(self.repository, "rev-parse", "HEAD")

    def pull(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        program = self.project / "roles/pull/files/pull.py"
        command = [sys.executable, str(program), *arguments, str(self.settings), str(self.state)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    def runs(self) -> int:
        """How often the playbook was run."""
        return len(self.notes.read_text().splitlines()) if self.notes.exists() else 0

    def applied(self) -> str:
        """What was applied last, as the tree has it."""
        return (self.state / "tree/playbook").read_text()


@pytest.fixture
def fleet(project: Path, tmp_path: Path) -> Fleet:
    return Fleet(project, tmp_path)


def test_a_signed_commit_is_applied_once(fleet: Fleet) -> None:
    first = fleet.commit("one")
    done = fleet.pull()
    assert (done.returncode, f"Applied {first}." in done.stdout) == (0, True), done.stderr
    assert fleet.notes.read_text().startswith(
        "--inventory=inventory/mine --limit=attic --connection=local playbooks/site.yml --extra-vars"
    )
    again = fleet.pull()
    assert "is applied already" in again.stdout
    assert fleet.runs() == 1
    assert fleet.pull("--force").returncode == 0
    fleet.commit("two")
    (fleet.state / "tree/left-over").touch()
    assert fleet.pull().returncode == 0
    assert (fleet.runs(), fleet.applied()) == (3, "two")
    assert not (fleet.state / "tree/left-over").exists(), "the tree is the commit's and nothing else"


def test_the_same_is_applied_again_after_a_day(fleet: Fleet) -> None:
    fleet.commit("one")
    fleet.pull()
    stamp = fleet.state / "applied"
    os.utime(stamp, (stamp.stat().st_atime, stamp.stat().st_mtime - 86401))
    fleet.pull()
    fleet.pull()
    assert fleet.runs() == 2


def test_a_clock_that_was_wrong_when_it_was_applied_keeps_nothing_up(fleet: Fleet) -> None:
    """A box without a clock of its own may have been years ahead."""
    fleet.commit("one")
    fleet.pull()
    stamp = fleet.state / "applied"
    os.utime(stamp, (stamp.stat().st_atime, stamp.stat().st_mtime + 10 * 86400))
    fleet.pull()
    fleet.pull()
    assert fleet.runs() == 2


def test_an_environment_with_a_number_is_one(fleet: Fleet) -> None:
    fleet.commit("one")
    (fleet.folder / "ansible-playbook").write_text(f'#!/bin/sh\necho "$JOBS $QUIET" > {fleet.notes}\n')
    fleet.configure(environment={"JOBS": 1, "QUIET": True})
    assert fleet.pull().returncode == 0
    assert fleet.notes.read_text() == "1 True\n"


@pytest.mark.parametrize("text", [None, "", '{"repository": "git@', "[]", '{"repository": ""}', "\0" * 99])
def test_settings_that_a_power_cut_has_damaged_are_a_sentence(fleet: Fleet, text: str | None) -> None:
    fleet.commit("one")
    fleet.pull()
    settings = fleet.settings / "settings.json"
    settings.unlink() if text is None else settings.write_text(text)
    done = fleet.pull()
    assert (done.returncode, fleet.runs(), fleet.applied()) == (1, 1, "one")
    assert done.stderr.startswith(f"REFUSED: {settings} is damaged or not there")
    assert "Run playbooks/pull.yml for this machine again" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("key", [None, "stranger"])
def test_what_no_known_key_has_signed_is_not_even_checked_out(fleet: Fleet, key: str | None) -> None:
    fleet.commit("good")
    fleet.pull()
    bad = fleet.commit("bad", key=key)
    for _ in range(2):
        done = fleet.pull()
        assert done.returncode == 1
        assert f"has signed the commit {bad}. Sign it" in done.stderr
        assert "hailo_whisper_pull_signers" in done.stderr
    assert (fleet.runs(), fleet.applied()) == (1, "good")
    # A signed one after it vouches for what is before.
    fleet.commit("better")
    assert fleet.pull().returncode == 0
    assert fleet.applied() == "better"


def test_an_old_state_that_was_signed_once_is_refused(fleet: Fleet) -> None:
    first = fleet.commit("one")
    fleet.commit("two")
    fleet.pull()
    git(fleet.repository, "reset", "--hard", "--quiet", first)
    done = fleet.pull()
    assert (done.returncode, fleet.runs(), fleet.applied()) == (1, 1, "two")
    assert f"{first} does not go on from" in done.stderr
    (fleet.state / "applied").unlink()
    assert fleet.pull().returncode == 0
    assert fleet.applied() == "one"


def test_a_repository_that_is_away_does_no_harm(fleet: Fleet) -> None:
    fleet.commit("one")
    fleet.pull()
    away = fleet.folder / "elsewhere"
    fleet.repository.rename(away)
    done = fleet.pull()
    assert (done.returncode, fleet.runs(), fleet.applied()) == (75, 1, "one")
    assert "could not be fetched" in done.stderr
    assert "Nothing was touched; the timer tries again." in done.stderr
    away.rename(fleet.repository)
    fleet.commit("two")
    assert fleet.pull().returncode == 0
    assert fleet.applied() == "two"


@pytest.mark.parametrize("lock", ["mirror/index.lock", "mirror/refs/heads/pulled.lock", "index.lock"])
def test_what_a_run_has_left_that_was_cut_off_is_in_nobodys_way(fleet: Fleet, lock: str) -> None:
    fleet.commit("one")
    fleet.pull()
    (fleet.state / lock).touch()
    fleet.commit("two")
    done = fleet.pull()
    assert (done.returncode, fleet.applied()) == (0, "two"), done.stderr


@pytest.mark.parametrize("part", ["HEAD", "refs/heads/pulled", "objects"])
def test_a_mirror_that_a_power_cut_has_broken_is_fetched_anew(fleet: Fleet, part: str) -> None:
    fleet.commit("one")
    fleet.pull()
    broken = fleet.state / "mirror" / part
    for path in [broken] if broken.is_file() else [path for path in broken.rglob("*") if path.is_file()]:
        path.chmod(0o600)
        path.write_bytes(b"")
    fleet.commit("two")
    done = fleet.pull()
    assert (done.returncode, fleet.applied()) == (0, "two"), done.stderr
    assert fleet.pull().returncode == 0
    assert fleet.runs() == 2


def test_a_git_that_fails_is_a_sentence(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.commit("one")
    fleet.pull()
    fleet.commit("two")
    (fleet.folder / "bin").mkdir()
    (fleet.folder / "bin/git").write_text(
        f'#!/bin/sh\ncase "$*" in *checkout*) echo "No space left on device" >&2; exit 128; esac\nexec {shutil.which("git")} "$@"\n'
    )
    (fleet.folder / "bin/git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{fleet.folder / 'bin'}:{os.environ['PATH']}")
    done = fleet.pull()
    assert (done.returncode, fleet.applied()) == (1, "one")
    assert "REFUSED: git could not do its part: No space left on device. See whether the disk is full" in done.stderr


def test_a_playbook_that_fails_is_tried_again(fleet: Fleet) -> None:
    fleet.commit("one")
    fleet.pull()
    bad = fleet.commit("broken", file="fail")
    for runs in (2, 3):
        done = fleet.pull()
        assert (done.returncode, fleet.runs()) == (1, runs)
        assert f"{bad} could not be applied" in done.stderr
    git(fleet.repository, "rm", "--quiet", "fail")
    fleet.commit("mended")
    assert fleet.pull().returncode == 0


def test_two_runs_do_not_overlap(fleet: Fleet) -> None:
    fleet.commit("one")
    with (fleet.state / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = fleet.pull()
    assert (done.returncode, fleet.runs()) == (75, 0)
    assert "Another run is at it." in done.stderr


def test_a_branch_that_is_not_there_and_one_that_looks_like_an_option(fleet: Fleet) -> None:
    fleet.commit("one")
    for branch in ("other", "--upload-pack=touch /tmp/x"):
        fleet.configure(branch=branch)
        assert fleet.pull().returncode == 75


@pytest.fixture
def server(fleet: Fleet) -> Iterator[str]:
    """The address of the repository by HTTP, which wants a token."""

    class Guarded(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers["Authorization"] == f"Basic {base64.b64encode(b'bot:to/ken-of-the-test').decode()}":
                return super().do_GET()
            self.send_response(401)
            self.send_header("WWW-Authenticate", "Basic")
            self.send_header("Content-Length", "0")
            return self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Guarded, directory=str(fleet.repository / ".git"))) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{served.server_port}/"
        served.shutdown()


def test_a_token_in_the_address_lets_it_in_and_is_shown_to_nobody(
    fleet: Fleet, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.commit("one")
    git(fleet.repository, "update-server-info")
    # What everybody on a machine sees: the arguments.
    real, seen = shutil.which("git"), fleet.folder / "seen"
    (fleet.folder / "bin").mkdir()
    (fleet.folder / "bin/git").write_text(f'#!/bin/sh\necho "$@" >> {seen}\nGIT_TRACE={seen} exec {real} "$@"\n')
    (fleet.folder / "bin/git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{fleet.folder / 'bin'}:{os.environ['PATH']}")
    fleet.configure(repository=f"http://bot:to%2Fken-of-the-test@{server}")
    done = fleet.pull()
    assert (done.returncode, fleet.applied()) == (0, "one"), done.stderr
    fleet.configure(repository=f"http://bot:wrong-ken-of-the-test@{server}")
    refused = fleet.pull()
    assert refused.returncode == 75
    assert "Authentication failed" in refused.stderr
    shown = seen.read_text() + done.stdout + done.stderr + refused.stderr
    assert "remote-http" in shown
    assert "ken-of-the-test" not in shown


ROLE = {
    "repository": "git@git.example:fleet.git",
    "known_hosts": ["git.example ssh-ed25519 AAAA"],
    "signers": ["ssh-ed25519 AAAAC3Nza owner"],
}
SECRETS = {
    "key": "-----BEGIN OPENSSH PRIVATE KEY-----\nof-the-test\n-----END OPENSSH PRIVATE KEY-----",
    "vault_password": "pass-of-the-test",
}


def role(project: Path, folder: Path, tasks: str, **variables: Any) -> "subprocess.CompletedProcess[str]":
    """Run a part of the role here, as talkative as it gets."""
    include = {"ansible.builtin.include_role": {"name": "pull", "tasks_from": tasks}}
    (folder / "play.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [include]}]))
    names = {name: f"hailo_whisper_pull_{name}" for name in variables} | {"environment": "hailo_whisper_environment"}
    chosen = {names[name]: value for name, value in variables.items()} | {"pull_settings": str(folder)}
    (folder / "variables.json").write_text(json.dumps(chosen))
    return subprocess.run(
        [
            "ansible-playbook",
            "-vvv",
            "--diff",
            "--inventory=attic,",
            "--connection=local",
            "play.yml",
            "--extra-vars=@variables.json",
        ],
        cwd=folder,
        env=os.environ
        | {"ANSIBLE_CONFIG": str(project / "ansible.cfg"), "ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "ANSIBLE_NOCOLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="the files are given to root")
def test_the_role_shows_no_secret_and_removes_those_that_are_gone(project: Path, tmp_path: Path) -> None:
    open_to_a_token = ROLE | {"repository": "https://bot:token-of-the-test@git.example/fleet.git"}
    proxy = {"https_proxy": "http://me:proxy-of-the-test@proxy.example:3128"}
    done = role(project, tmp_path, "settings", environment=proxy, **open_to_a_token, **SECRETS)
    assert done.returncode == 0, done.stdout
    settings = json.loads((tmp_path / "settings.json").read_text())
    assert (settings["repository"], settings["environment"]) == (open_to_a_token["repository"], proxy)
    assert (tmp_path / "key").read_text() == f"{SECRETS['key']}\n"
    assert (tmp_path / "allowed_signers").read_text() == 'hailo-whisper namespaces="git" ssh-ed25519 AAAAC3Nza owner\n'
    modes = {
        name: oct((tmp_path / name).stat().st_mode & 0o777)
        for name in ("key", "vault_password", "settings.json", "allowed_signers")
    }
    assert set(modes.values()) == {"0o600"}
    assert "of-the-test" not in done.stdout + done.stderr
    assert " changed=0 " in role(project, tmp_path, "settings", environment=proxy, **open_to_a_token, **SECRETS).stdout
    assert role(project, tmp_path, "settings", **ROLE).returncode == 0
    assert not (tmp_path / "key").exists()


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"repository": ""}, "hailo_whisper_pull_repository is empty. Set it to the address"),
        ({"signers": []}, "has to list the public SSH keys"),
        ({"signers": ["everybody"]}, "has to list the public SSH keys"),
        ({"known_hosts": []}, "Give the lines that `ssh-keyscan` says of the server"),
    ],
)
def test_what_could_not_work_is_refused(project: Path, tmp_path: Path, variables: dict[str, Any], sentence: str) -> None:
    done = role(project, tmp_path, "check", **(ROLE | variables))
    assert done.returncode != 0
    assert sentence in done.stdout

"""Pull mode under a real systemd: what the owner has signed is applied by the unit, and nothing else. On the machine that has a network."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import testinfra
from testinfra.host import Host

from service import INVENTORY, run_playbook

NAME = "hailo-whisper-debian12"
REPOSITORY, NOTE = "/srv/fleet.git", "/srv/pulled"
UNIT = "hailo-whisper-pull.service"
# In the place of the whole site.yml, whose run takes minutes: the program, its Ansible and the unit are the same. It asks the machine for its facts and
# writes outside of all that the unit has of its own.
PLAY = [
    {
        "hosts": "hailo_whisper",
        "gather_facts": True,
        "tasks": [
            {
                "ansible.builtin.copy": {
                    "dest": NOTE,
                    "content": "{{ note }} on {{ ansible_facts['distribution'] }}\n",
                    "mode": "0644",
                }
            },
            {"ansible.builtin.command": {"argv": ["mkdir", "--parents", f"{NOTE}.d"]}},
            {"ansible.builtin.systemd_service": {"daemon_reload": True}},
        ],
    }
]


class Owner:
    """Who has the repository and signs what is in it, and somebody else who may push there."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.tree = folder, folder / "tree"
        for name in ("owner", "stranger"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", folder / name], check=True)
        self.public = (folder / "owner.pub").read_text().strip()
        for name, content in {
            "playbooks/site.yml": PLAY,
            "inventory/mine/hosts.yml": {"hailo_whisper": {"hosts": {NAME: {}}}},
        }.items():
            (self.tree / name).parent.mkdir(parents=True)
            (self.tree / name).write_text(json.dumps(content))
        self._git("init", "--quiet", "--initial-branch=main")

    def push(self, note: str, *, key: str = "owner") -> str:
        """A commit that is signed with that key, onto the machine."""
        variables = self.tree / "inventory/mine/group_vars/hailo_whisper.yml"
        variables.parent.mkdir(exist_ok=True)
        variables.write_text(json.dumps({"note": note}))
        self._git("add", "--all")
        self._git("-c", "gpg.format=ssh", "-c", f"user.signingKey={self.folder / key}", "commit", "--quiet", "-S", "-m", note)
        bare = self.folder / note / "fleet.git"
        self._git("clone", "--quiet", "--bare", ".", str(bare))
        subprocess.run(["podman", "exec", NAME, "rm", "-rf", REPOSITORY], check=True)
        subprocess.run(["podman", "cp", bare, f"{NAME}:{REPOSITORY}"], check=True, capture_output=True)
        return self._git("rev-parse", "HEAD")

    def _git(self, *arguments: str) -> str:
        plain = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
        author = {f"GIT_{who}_{what}": "o@example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        command = ["git", "-C", str(self.tree), *arguments]
        return subprocess.run(command, env=os.environ | plain | author, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def machine() -> Iterator[Host]:
    """That machine from inside, which pulls no more afterwards."""
    machine = testinfra.get_host(f"podman://{NAME}")
    yield machine
    machine.run("systemctl disable --now hailo-whisper-pull.timer")


@pytest.fixture(scope="module")
def owner(machine: Host, tmp_path_factory: pytest.TempPathFactory) -> Owner:
    """With a machine that was set up to pull from the repository, and has not yet."""
    owner = Owner(tmp_path_factory.mktemp("owner"))
    chosen = {"hailo_whisper_pull_repository": REPOSITORY, "hailo_whisper_pull_signers": [owner.public]}
    for times in ("first", "second"):
        done = run_playbook(INVENTORY, NAME, "pull.yml", "--extra-vars", json.dumps(chosen))
        assert done.returncode == 0, done.stdout + done.stderr
        assert times == "first" or " changed=0 " in done.stdout, done.stdout
    return owner


def start(machine: Host) -> tuple[int, str]:
    """Have it look now: the exit status of `systemctl start`, and what the unit's run has said."""
    status: int = machine.run(f"systemctl start {UNIT}").rc
    run = machine.check_output(f"journalctl --sync && systemctl show --value --property=InvocationID {UNIT}")
    return status, machine.check_output(f"journalctl --output=cat _SYSTEMD_INVOCATION_ID={run}")


def test_it_looks_by_itself_at_a_time_of_its_own(machine: Host, owner: Owner) -> None:
    assert (owner.tree / "playbooks/site.yml").exists()
    timer = machine.check_output(
        "systemctl show --property=ActiveState,UnitFileState,RandomizedDelayUSec,Unit hailo-whisper-pull.timer"
    )
    assert set(timer.splitlines()) == {f"Unit={UNIT}", "ActiveState=active", "UnitFileState=enabled", "RandomizedDelayUSec=45min"}
    verified = machine.run(f"systemd-analyze verify --man=no {UNIT} hailo-whisper-pull.timer")
    assert (verified.rc, verified.stderr) == (0, "")


def test_what_the_owner_has_signed_is_applied_and_nothing_else(machine: Host, owner: Owner) -> None:
    first = owner.push("one")
    status, said = start(machine)
    assert status == 0, said
    assert f"Applied {first}." in said
    assert machine.file(NOTE).content_string == "one on Debian\n"
    assert oct(machine.file(f"{NOTE}.d").mode) == "0o755", "what it makes is for the service's user to read, who is not root"

    bad = owner.push("two", key="stranger")
    status, said = start(machine)
    assert status == 1
    assert f"REFUSED: No key of /etc/hailo-whisper-pull/allowed_signers has signed the commit {bad}. Sign it" in said
    assert "What was applied before stays." in said
    assert machine.file(NOTE).content_string == "one on Debian\n"
    assert "one" in machine.file("/var/lib/hailo-whisper-pull/tree/inventory/mine/group_vars/hailo_whisper.yml").content_string
    assert machine.check_output(f"systemctl is-failed {UNIT}") == "failed"

    # Where nobody answers, it is no failure.
    machine.check_output(f"mv {REPOSITORY} {REPOSITORY}.away")
    status, said = start(machine)
    assert (status, "Nothing was touched; the timer tries again." in said) == (0, True), said

    good = owner.push("three")
    status, said = start(machine)
    assert status == 0, said
    assert f"Applied {good}." in said
    assert machine.file(NOTE).content_string == "three on Debian\n"

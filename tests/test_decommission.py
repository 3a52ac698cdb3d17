"""playbooks/decommission.yml: what is ours goes, what was asked for and what is others' stays. The machine is a folder; molecule has a real one."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_run import ansible_playbook
from loading import loaded

OURS = [
    "opt/hailo-whisper/venv/bin/python",
    "opt/hailo-whisper/installed",
    "usr/bin/hailo-whisper",
    "usr/lib/systemd/system/hailo-whisper.service",
    "usr/lib/systemd/system/hailo-whisper.service.d/10-hailo.conf",
    "usr/lib/udev/rules.d/70-hailo-whisper.rules",
    "etc/systemd/system/hailo-whisper.socket.d/50-config.conf",
    "etc/systemd/system/sockets.target.wants/hailo-whisper.socket",
    "etc/xdg/hailo-whisper/hailo-whisper.json",
    "etc/ansible/facts.d/hailo_whisper.fact",
    "etc/apt/sources.list.d/hailo-whisper.sources",
    "etc/hailo/hailo-whisper.yaml",
    "etc/hailo/hailo-whisper.yaml.dpkg-old",
    "etc/hailo/hailo-whisper.keys",
    "etc/hailo/models.d/ours.yaml",
    "var/lib/hailo-whisper/models/base/model.bin",
    "var/lib/hailo-whisper/state/x",
    "var/cache/hailo-whisper/x",
]
OTHERS = [
    "etc/hailo/hailort.conf",
    "etc/apt/sources.list.d/debian.sources",
    "usr/lib/systemd/system/ssh.service",
    "var/lib/dpkg/status",
]
OPTIONS: dict[str, Any] = {
    "keep": [],
    "keys": "/etc/hailo/hailo-whisper.keys",
    "store": "/var/lib/hailo-whisper/models",
    "check": False,
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in [*OURS, *OTHERS]:
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    return tmp_path / "root"


def clear(project: Path, root: Path, **options: Any) -> Any:
    program = project / "playbooks/files/decommission.py"
    argv = [sys.executable, str(program), json.dumps(OPTIONS | {"root": str(root)} | options)]
    return json.loads(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() or path.is_symlink())


def test_everything_goes_and_what_is_others_stays(project: Path, root: Path) -> None:
    foreseen = clear(project, root, check=True)
    assert files(root) == sorted([*OURS, *OTHERS])
    done = clear(project, root)
    assert done == foreseen
    assert files(root) == sorted(OTHERS)
    assert not (root / "etc/ansible").exists()
    assert clear(project, root)["removed"] == []


@pytest.mark.parametrize(
    ("keep", "stays"),
    [
        (["models"], ["var/lib/hailo-whisper/models/base/model.bin"]),
        (["keys"], ["etc/hailo/hailo-whisper.keys"]),
        (["configuration"], ["etc/hailo/hailo-whisper.yaml", "etc/hailo/models.d/ours.yaml"]),
        (["keys", "models"], ["etc/hailo/hailo-whisper.keys", "var/lib/hailo-whisper/models/base/model.bin"]),
    ],
)
def test_what_was_asked_for_stays(project: Path, root: Path, keep: list[str], stays: list[str]) -> None:
    clear(project, root, keep=keep)
    assert files(root) == sorted([*OTHERS, *stays])


def test_models_in_a_folder_of_the_owners_choice_stay(project: Path, root: Path) -> None:
    (root / "srv/models").mkdir(parents=True)
    done = clear(project, root, store="/srv/models")
    assert (root / "srv/models").is_dir()
    assert done["left"] == ["The models in /srv/models stay, because that folder is not ours: remove it if nobody needs it."]


def test_a_key_file_of_the_owners_choice_goes_and_a_folder_does_not(project: Path, root: Path) -> None:
    (root / "home/a").mkdir(parents=True)
    (root / "home/a/letter").write_text("x")
    (root / "home/keys").write_text("x")
    foreseen = clear(project, root, keys="/home/a", check=True)
    done = clear(project, root, keys="/home/a")
    assert done == foreseen
    assert not [path for path in done["removed"] if path.startswith("/home")]
    assert done["left"] == [
        "/home/a (access.keys in hailo_whisper_config) stays, because it is no file: set that to the key file."
    ]
    assert clear(project, root, keys="/home/keys")["removed"] == ["/home/keys"]
    assert files(root) == sorted([*OTHERS, "home/a/letter"])


@pytest.mark.parametrize("name", ["keys", "store"])
@pytest.mark.parametrize("path", ["/", "//", "", "hailo/keys", "/etc/hailo/../../home"])
def test_a_path_that_could_be_anything_is_refused_before_anything_goes(project: Path, root: Path, name: str, path: str) -> None:
    program = project / "playbooks/files/decommission.py"
    argv = [sys.executable, str(program), json.dumps(OPTIONS | {"root": str(root), name: path})]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    setting = {"keys": "access.keys", "store": "storage.models"}[name]
    assert done.returncode == 1
    assert done.stderr.startswith(
        f"{setting} in hailo_whisper_config is {path!r}, so nothing was removed. Set it to the whole path"
    )
    assert files(root) == sorted([*OURS, *OTHERS])


@pytest.mark.parametrize("link", ["var/lib/hailo-whisper", "var/lib/hailo-whisper/models", "var/lib"])
def test_models_behind_a_link_stay_with_the_link(project: Path, root: Path, link: str) -> None:
    """The models of a board lie on its SSD, and are looked for by the old name when it is deployed again."""
    (root / "srv").mkdir()
    (root / link).rename(root / "srv/ssd")
    (root / link).symlink_to(root / "srv/ssd")
    foreseen = clear(project, root, keep=["models"], check=True)
    done = clear(project, root, keep=["models"])
    assert done == foreseen
    assert (root / "var/lib/hailo-whisper/models/base/model.bin").exists()
    assert "/var/lib/hailo-whisper/models" in done["kept"]


def test_models_of_the_owners_choice_stay_behind_a_link_too(project: Path, root: Path) -> None:
    (root / "srv").mkdir()
    (root / "srv/models").symlink_to(root / "var/lib/hailo-whisper/models")
    clear(project, root, keep=["models"], store="/srv/models")
    assert (root / "srv/models/base/model.bin").exists()


def test_a_link_goes_where_nothing_is_kept_and_what_it_led_to_is_named(project: Path, root: Path) -> None:
    (root / "srv").mkdir()
    (root / "var/lib/hailo-whisper").rename(root / "srv/ssd")
    (root / "var/lib/hailo-whisper").symlink_to(root / "srv/ssd")
    foreseen = clear(project, root, check=True)
    done = clear(project, root)
    assert done == foreseen
    assert not (root / "var/lib/hailo-whisper").is_symlink()
    assert done["left"] == ["The models in /srv/ssd/models stay, because that folder is not ours: remove it if nobody needs it."]


@pytest.fixture
def program(project: Path) -> Any:
    return loaded(project / "playbooks/files/decommission.py")


@pytest.mark.parametrize("mount", ["var/lib/hailo-whisper", "var/lib/hailo-whisper/models"])
def test_where_something_is_mounted_is_left_empty_and_said(program: Any, root: Path, mount: str) -> None:
    def told(check: bool) -> Any:
        machine = program.Machine(OPTIONS | {"root": str(root), "check": check})
        machine.mounts = {root / mount, Path("/proc")}
        return machine.clear()

    foreseen = told(check=True)
    done = told(check=False)
    assert done == foreseen
    assert files(root) == sorted(OTHERS)
    assert (root / mount).is_dir()
    assert done["left"] == [f"/{mount} stays, because something is mounted there: unmount it, and remove it then."]
    assert told(check=False)["removed"] == []


def test_the_mounts_of_this_machine_are_seen(program: Any) -> None:
    assert {Path("/"), Path("/proc")} <= program.mounted()


def test_what_cannot_be_removed_is_said_with_the_reason(program: Any, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(path: Path) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy", str(path))

    monkeypatch.setattr(program.shutil, "rmtree", busy)
    done = program.Machine(OPTIONS | {"root": str(root)}).clear()
    assert (
        "/var/lib/hailo-whisper could not be removed (Device or resource busy): mend that, and run this again." in done["failed"]
    )
    assert "/var/lib/hailo-whisper" not in done["removed"]
    assert not (root / "etc/hailo/hailo-whisper.keys").exists(), "the others go on"


@pytest.mark.parametrize(
    ("number", "failed"),
    [
        (errno.ENOENT, []),
        (errno.ENOTEMPTY, []),
        (
            errno.EBUSY,
            ["/etc/ansible is empty and could not be removed (Device or resource busy): mend that, and run this again."],
        ),
    ],
    ids=["gone", "used-again", "busy"],
)
def test_an_empty_folder_that_others_use_too_does_not_stop_it(
    program: Any, root: Path, monkeypatch: pytest.MonkeyPatch, number: int, failed: list[str]
) -> None:
    """Another program removes it, or puts something in, between the look and the removal."""
    folder = root / "etc/ansible"
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    really = Path.rmdir

    def busy(path: Path) -> None:
        if path == folder:
            raise OSError(number, os.strerror(number), str(path))
        really(path)

    monkeypatch.setattr(Path, "rmdir", busy)
    assert program.Machine(OPTIONS | {"root": str(root)}).clear()["failed"] == failed


@pytest.mark.parametrize(
    ("keep", "purged"),
    [([], "hailo-whisper hailo-whisper-model-base"), (["models"], "hailo-whisper")],
)
def test_the_packages_of_models_are_models_too(
    program: Any, root: Path, monkeypatch: pytest.MonkeyPatch, keep: list[str], purged: str
) -> None:
    machine = program.Machine(OPTIONS | {"root": str(root), "keep": keep, "check": True})
    machine.real = True
    monkeypatch.setattr(program, "run", lambda *command: "installed hailo-whisper\ninstalled hailo-whisper-model-base\n")
    asked: list[tuple[str, ...]] = []

    def told(*command: str) -> str:
        asked.append(command)
        return ""

    monkeypatch.setattr(program, "failure", told)
    machine.purge()
    assert machine.removed == [f"the package {name}" for name in purged.split()]
    assert asked == [("dpkg", "--no-act", "--purge", *purged.split())]


@pytest.mark.parametrize("check", [True, False])
def test_what_dpkg_does_not_purge_is_said_beforehand(
    program: Any, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check: bool
) -> None:
    (tmp_path / "bin").mkdir()
    for name, text in {
        "dpkg-query": "echo installed hailo-whisper",
        "dpkg": 'echo "dependency problems:\n others depends on hailo-whisper." >&2; exit 1',
    }.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    machine = program.Machine(OPTIONS | {"root": str(root), "check": check})
    machine.real = True
    with pytest.raises(SystemExit) as ended:
        machine.purge()
    assert ended.value.code == (
        "dpkg could not purge hailo-whisper: dependency problems: others depends on hailo-whisper. Mend that (`dpkg --configure -a`), and run "
        "this again."
    )


def test_a_command_that_fails_without_a_word_has_failed(program: Any) -> None:
    assert program.failure("false") == "it ended with 1"
    assert program.failure("true") == ""


def test_without_root_nothing_is_begun(program: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SystemExit) as ended:
        program.Machine(OPTIONS | {"check": True})
    assert str(ended.value.code).startswith("Root is needed, so nothing was removed. Run ansible-playbook with --become")


# A machine with the user and its group, whose `userdel` and `systemctl` do as the real ones for as long as the file `busy` is there.
PROGRAMS = {
    "getent": 'grep "^$1 $2:" "$STATE/database"',
    "userdel": """test ! -e "$STATE/busy" || { echo "userdel: user $1 is currently used by process 4711" >&2; exit 8; }
: > "$STATE/database" """,
    "groupdel": """test ! -e "$STATE/busy" || { echo "groupdel: cannot remove the primary group of user '$1'" >&2; exit 8; }
echo "groupdel: group '$1' does not exist" >&2; exit 6""",
    "systemctl": """case "$1" in
list-units) echo "hailo-whisper.service loaded active running"; echo "hailo-whisper.socket loaded active running" ;;
is-active) if test -e "$STATE/busy" && test "$2" = hailo-whisper.service; then echo deactivating; else echo inactive; exit 3; fi ;;
*) echo "$@" >> "$STATE/notes" ;;
esac""",
    "chown": "",
    "dpkg-query": "",
}


@pytest.fixture
def busy(program: Any, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that says that something of the service still runs on a machine that is played."""
    (tmp_path / "bin").mkdir()
    for name, text in PROGRAMS.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "database").write_text("passwd hailo-whisper:x:998:998\ngroup hailo-whisper:x:998:\n")
    monkeypatch.setenv("STATE", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(program, "mounted", set)
    (tmp_path / "busy").touch()
    return tmp_path / "busy"


def played(program: Any, root: Path, check: bool = False) -> Any:
    """What there is to say of that machine, which is asked as a real one is."""
    machine = program.Machine(OPTIONS | {"root": str(root), "check": check})
    machine.real = True
    machine.stop()
    machine.purge()
    machine.forget_user()
    assert machine.left == []
    return {"removed": machine.removed, "failed": machine.failed}


def test_a_user_that_still_runs_something_is_not_said_to_be_gone(program: Any, root: Path, busy: Path) -> None:
    assert played(program, root, check=True) == {"removed": ["the user hailo-whisper"], "failed": []}
    assert played(program, root) == {
        "removed": [],
        "failed": [
            "hailo-whisper.service could not be stopped (deactivating), and what is left of it runs on: `systemctl kill -s KILL "
            "hailo-whisper.service`, or restart the machine, and run this again.",
            "The user hailo-whisper stays (userdel: user hailo-whisper is currently used by process 4711): end what it still runs, "
            "`pkill -KILL -u hailo-whisper`, or restart the machine, and run this again.",
        ],
    }
    busy.unlink()
    assert played(program, root) == {"removed": ["the user hailo-whisper"], "failed": []}
    assert played(program, root) == {"removed": [], "failed": []}


@pytest.mark.skipif(os.geteuid() != 0, reason="the files are given away")
def test_only_what_was_the_services_becomes_roots(program: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "USER", "daemon")
    for name, owner, group in (("ours", "daemon", "daemon"), ("theirs", "nobody", "nogroup"), ("shared", "nobody", "daemon")):
        (tmp_path / name).touch()
        shutil.chown(tmp_path / name, owner, group)
    program.disown(tmp_path, "--recursive")
    owners = {path.name: (path.owner(), path.group()) for path in tmp_path.iterdir()}
    assert owners == {"ours": ("root", "root"), "theirs": ("nobody", "nogroup"), "shared": ("nobody", "root")}


def test_every_file_that_the_roles_place_is_known(project: Path, tmp_path: Path) -> None:
    """The paths stand in the roles; whoever adds one there is reminded to have it removed too."""
    root = tmp_path / "root"
    service = yaml.safe_load((project / "roles/service/vars/main.yml").read_text())
    folder = str(Path(service["service_fact"]).parent)
    placed = [
        f"{entry['to'].replace('{{ service_fact | dirname }}', folder)}/{Path(entry['from']).name}"
        for entry in service["service_files"]
    ]
    assert all(path.startswith("/") for path in placed), placed
    placed += [f"{service['service_units_folder']}/{unit}" for unit in service["service_units"]]
    texts = "".join(
        path.read_text()
        for path in (project / "roles").glob("*/vars/main.yml")
        if path.parts[-3] not in ("monitoring", "gateway")
    )
    # What a roll-out calls at the gateway is the gateway's.
    texts = texts.replace("/usr/local/sbin/hailo-whisper-gateway", "")
    placed += re.findall(r"(/(?:opt|usr|etc|var)/[\w./-]*hailo[-_]whisper[\w./-]*)", texts)
    assert len(placed) > 10
    # The folders are made by what lies in them.
    for name in sorted(placed, key=len, reverse=True):
        path = root / name.lstrip("/")
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x")
    clear(project, root)
    assert files(root) == []


def test_the_docs_take_off_all_that_a_gateway_and_a_monitoring_host_have(project: Path) -> None:
    """These stay when the machine is decommissioned, keys among them. Whoever adds a file there is reminded to have it in the docs too."""
    docs = (project / "docs/operations.md").read_text()
    section = docs.partition("**A gateway and a monitoring host stay what they are**")[2].partition("\n## ")[0]
    removed = re.findall(r"/[\w./-]+", " ".join(line for line in section.splitlines() if line.startswith("rm ")))
    roles = [project / "roles" / role for role in ("gateway", "monitoring")]
    texts = [path.read_text() for role in roles for part in ("defaults", "vars", "tasks") for path in (role / part).glob("*.yml")]
    placed = re.findall(r"(/(?:etc|usr|var)/(?:[\w./-]*hailo-whisper|haproxy/haproxy\.cfg)[\w./-]*)", "".join(texts))
    assert len(set(placed)) > 4
    assert sorted(path for path in set(placed) if path not in removed) == []


def decommissioned(
    tmp_path: Path, root: Path, inventory: dict[str, Any], *arguments: str, **options: Any
) -> "subprocess.CompletedProcess[str]":
    """The playbook on hosts that are this machine, at the same time: each has files of its own."""
    (tmp_path / "hosts.yml").write_text(json.dumps(inventory))
    for host in inventory["hailo_whisper"]["hosts"]:
        shutil.copytree(root, tmp_path / host, symlinks=True)
    given = {
        "hailo_whisper_decommission": 2,
        "decommission_options": OPTIONS | {"root": f"{tmp_path}/{{{{ inventory_hostname }}}}"} | options,
    }
    hosts = ("--inventory", tmp_path / "hosts.yml", "--extra-vars", json.dumps(given))
    return ansible_playbook("playbooks/decommission.yml", *hosts, *arguments, one_line=True)


def test_a_machine_that_stays_a_gateway_is_told_of(tmp_path: Path, root: Path) -> None:
    inventory: dict[str, Any] = {
        "hailo_whisper": {"hosts": {"a": {}, "b": {}}, "vars": {"ansible_connection": "local"}},
        "hailo_whisper_gateway": {"hosts": {"b": {"hailo_whisper_gateway_nodes": ["c"]}}},
    }
    done = decommissioned(tmp_path, root, inventory)
    assert done.returncode == 0, done.stdout + done.stderr
    said = [line for line in done.stdout.splitlines() if "It stays a gateway or a monitoring host: docs/operations.md" in line]
    assert len(said) == 1
    assert '"msg": "b: ' in said[0]
    assert [files(tmp_path / host) for host in inventory["hailo_whisper"]["hosts"]] == [sorted(OTHERS)] * 2


@pytest.fixture
def drained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the program of a gateway was asked, which is this machine too."""
    (tmp_path / "bin").mkdir()
    gateway = tmp_path / "bin/hailo-whisper-gateway"
    gateway.write_text(f'#!/bin/sh\necho "$1 $2" >> {tmp_path}/drained\n')
    gateway.chmod(0o755)
    monkeypatch.setenv("PATH", f"{gateway.parent}:{os.environ['PATH']}")
    (tmp_path / "drained").touch()
    return tmp_path / "drained"


BEHIND_A_GATEWAY: dict[str, Any] = {
    "hailo_whisper": {"hosts": {"a": {}, "b": {}}},
    "hailo_whisper_gateway": {"hosts": {"tower": {}}},
    "all": {"vars": {"ansible_connection": "local"}},
}


def test_a_machine_of_which_something_could_not_be_removed_is_not_said_to_be_taken_off(
    tmp_path: Path, root: Path, drained: Path
) -> None:
    # A file that nobody can remove, whoever it is.
    (root / "home").symlink_to("/proc")
    done = decommissioned(tmp_path, root, BEHIND_A_GATEWAY, keys="/home/version")
    assert done.returncode == 2
    assert "out of the inventory" not in done.stdout
    for host in ("a", "b"):
        assert re.search(
            rf"{host} is not taken off: /home/version could not be removed \([\w ]+\): mend that, and run this again\. "
            rf"It stays drained at tower; `hailo-whisper-gateway ready {host}` there puts it back\.",
            done.stdout,
        )
        assert [name for name in files(tmp_path / host) if name != "home"] == sorted(OTHERS)
    assert sorted(drained.read_text().splitlines()) == ["drain a", "drain b"]


def test_what_is_left_to_do_elsewhere_is_said_with_a_limit_too(tmp_path: Path, root: Path, drained: Path) -> None:
    limit = ("--limit", "b", "--extra-vars", "hailo_whisper_decommission=1")
    foreseen = decommissioned(tmp_path, root, BEHIND_A_GATEWAY, "--check", *limit)
    assert foreseen.returncode == 0, foreseen.stdout + foreseen.stderr
    assert "out of the inventory" not in foreseen.stdout
    assert drained.read_text() == ""
    shutil.rmtree(tmp_path / "a")
    shutil.rmtree(tmp_path / "b")
    done = decommissioned(tmp_path, root, BEHIND_A_GATEWAY, *limit)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("Take b out of the inventory, and then run playbooks/monitoring.yml") == 1
    assert drained.read_text() == "drain b\n"


def test_a_machine_that_is_refused_is_not_drained(tmp_path: Path, root: Path, drained: Path) -> None:
    done = decommissioned(tmp_path, root, BEHIND_A_GATEWAY, store="/")
    assert done.returncode == 2
    assert "storage.models in hailo_whisper_config is '/', so nothing was removed." in done.stdout
    assert drained.read_text() == ""
    assert [files(tmp_path / host) for host in ("a", "b")] == [sorted([*OURS, *OTHERS])] * 2


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "not-meant": (
        {},
        "This takes hailo-whisper off 2 hosts (a, b). If these are meant, run it with --extra-vars hailo_whisper_decommission=2",
    ),
    "another-number": (
        {"hailo_whisper_decommission": 1},
        "hailo_whisper_decommission=2; if not, name those that are with --limit.",
    ),
    "unknown-part": ({"hailo_whisper_decommission": 2, "hailo_whisper_keep": ["logs"]}, "of models, configuration, keys"),
    "no-list": ({"hailo_whisper_decommission": 2, "hailo_whisper_keep": "models"}, "Give a list of what is to stay"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_nobody_does_it_by_accident(tmp_path: Path, case: str) -> None:
    variables, sentence = REFUSED[case]
    (tmp_path / "hosts.yml").write_text(
        json.dumps({"hailo_whisper": {"hosts": {"a": {}, "b": {}}, "vars": {"ansible_connection": "local"}}})
    )
    given = ("--inventory", tmp_path / "hosts.yml", "--extra-vars", json.dumps(variables))
    done = ansible_playbook("--check", "playbooks/decommission.yml", *given, one_line=True)
    assert done.returncode != 0
    assert sentence in done.stdout
    assert "Take it off" not in done.stdout

"""playbooks/backup.yml and restore.yml: what is kept comes back, and what is damaged or another's is refused. The machine is a folder."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_run import ansible_playbook

KEY = "sk-which-nobody-is-to-see"
FILES = {
    "etc/hailo/hailo-whisper.yaml": "server:\n  port: 8080\n",
    "etc/hailo/hailo-whisper.keys": f"default:{KEY}\n",
    "etc/hailo/models.d/ours.yaml": "models: []\n",
    "var/lib/hailo-whisper/models/base/manifest.json": json.dumps({"files": {"model.bin": {"size": 1, "sha256": "ab"}}}),
    "var/lib/hailo-whisper/models/broken/manifest.json": "{",
    "var/lib/hailo-whisper/models/.part/manifest.json": "{}",
}
OPTIONS = {
    "host": "kitchen",
    "keys": "/etc/hailo/hailo-whisper.keys",
    "store": "/var/lib/hailo-whisper/models",
    "catalog": "/etc/hailo/models.d",
    "check": False,
}
# A program that takes every configuration but a bad one, and says what is the matter with that.
PROGRAM = '#!/bin/sh\ngrep -q bad "$3" || exit 0\necho "$3: unknown key bad." >&2\nexit 1\n'
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="the files are given to root")


def machine(root: Path, files: dict[str, str]) -> Path:
    """The root of a machine with the program."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    program = root / "opt/hailo-whisper/venv/bin/hailo-whisper"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(PROGRAM)
    program.chmod(0o755)
    return root


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return machine(tmp_path / "old", FILES)


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    return machine(tmp_path / "fresh", {})


@pytest.fixture
def call(project: Path) -> Callable[..., Any]:
    """Run the program of the playbooks."""

    def run(command: str, root: Path, document: str = "", **options: Any) -> Any:
        path = project / "playbooks/files/backup.py"
        argv = [sys.executable, str(path), command, json.dumps(OPTIONS | {"root": str(root)} | options)]
        done = subprocess.run(argv, input=document, capture_output=True, text=True, check=False)
        assert done.returncode in (0, 3), done.stderr
        return json.loads(done.stdout)

    return run


def signed(document: dict[str, Any]) -> str:
    """A document with the sum that fits."""
    bare = {name: value for name, value in document.items() if name != "sha256"}
    text = json.dumps(bare, sort_keys=True, separators=(",", ":"))
    return json.dumps({**bare, "sha256": hashlib.sha256(text.encode()).hexdigest()})


def manifest(value: str) -> str:
    return json.dumps({"files": {"model.bin": {"size": 1, "sha256": value}}})


def test_models_of_packages_are_in_it_and_the_store_goes_first(call: Callable[..., Any], old: Path) -> None:
    packaged = "usr/share/hailo-whisper/models"
    machine(
        old,
        {
            f"{packaged}/tiny.en/manifest.json": manifest("cd"),
            # The store has its own of these.
            f"{packaged}/base/manifest.json": manifest("ef"),
            f"{packaged}/broken/manifest.json": manifest("ef"),
            f"{packaged}/README": "x",
        },
    )
    assert call("make", old)["models"] == {"base": {"model.bin": "ab"}, "tiny.en": {"model.bin": "cd"}}


@as_root
def test_what_is_kept_comes_back(call: Callable[..., Any], old: Path, fresh: Path) -> None:
    document = call("make", old)
    assert document["models"] == {"base": {"model.bin": "ab"}}
    foreseen = call("restore", fresh, json.dumps(document), check=True)
    assert len(foreseen["written"]) == 3
    assert not (fresh / "etc/hailo/hailo-whisper.keys").exists()
    done = call("restore", fresh, json.dumps(document))
    mark = fresh / "etc/hailo/hailo-whisper.restoring"
    assert done == {
        "written": foreseen["written"],
        "lacking": ["base"],
        "other": [],
        "unfinished": True,
        "mark": str(mark),
    }
    assert call("restore", fresh, json.dumps(document))["unfinished"], "the service does not run with them yet"
    mark.unlink()
    assert not call("restore", fresh, json.dumps(document))["unfinished"]
    assert not mark.exists()
    for name in list(FILES)[:3]:
        assert (fresh / name).read_text() == FILES[name]
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in (fresh / "etc/hailo").glob("hailo-whisper*")}
    assert modes == {"hailo-whisper.yaml": "0o644", "hailo-whisper.keys": "0o640"}
    assert call("restore", fresh, json.dumps(document))["written"] == []
    (fresh / "var/lib/hailo-whisper/models/base").mkdir(parents=True)
    (fresh / "var/lib/hailo-whisper/models/base/manifest.json").write_text('{"files": {"model.bin": {"sha256": "cd"}}}')
    assert call("restore", fresh, json.dumps(document))["other"] == ["base"]


def test_what_has_not_changed_is_the_same_document(call: Callable[..., Any], old: Path) -> None:
    assert call("make", old) == call("make", old)


def with_file(document: dict[str, Any], path: str, text: str = "x") -> str:
    return signed(document | {"files": document["files"] | {path: base64.b64encode(text.encode()).decode()}})


REFUSED: dict[str, tuple[Callable[[dict[str, Any]], str], str]] = {
    "cut-off": (lambda document: json.dumps(document)[:-20], "damaged, or none of hailo-whisper's"),
    "other-file": (lambda _: '{"hello": "there"}', "damaged, or none of hailo-whisper's"),
    "no-object": (lambda _: "[]", "damaged, or none of hailo-whisper's"),
    "flipped": (lambda document: json.dumps(document).replace("ab", "ac"), "its sum does not fit"),
    "another-host": (
        lambda document: signed(document | {"host": "office"}),
        "is of office, and not of kitchen. Name the right folder, or say hailo_whisper_restore_of=office",
    ),
    "later-form": (
        lambda document: signed(document | {"format": "hailo-whisper-backup 9"}),
        "Restore it with the tree that made it",
    ),
    "foreign-path": (lambda document: with_file(document, "/etc/shadow"), "'/etc/shadow', which is neither its configuration"),
    "climbing": (lambda document: with_file(document, "/etc/hailo/models.d/../../passwd.yaml"), "which is neither"),
    "bad-setting": (
        lambda document: with_file(document, "/etc/hailo/hailo-whisper.yaml", "bad: 1"),
        "does not take the configuration of the backup: /etc/hailo/hailo-whisper.yaml: unknown key bad.",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusal(call: Callable[..., Any], old: Path, fresh: Path, case: str) -> None:
    spoil, sentence = REFUSED[case]
    refused = call("restore", fresh, spoil(call("make", old)))["refused"]
    assert sentence in refused
    assert KEY not in refused
    assert [path for path in (fresh / "etc").rglob("*") if path.is_file()] == [], "nothing was written"


def test_another_host_takes_its_place_when_it_is_said(call: Callable[..., Any], old: Path, fresh: Path) -> None:
    document = call("make", old)
    assert call("restore", fresh, json.dumps(document), host="attic", of="kitchen", check=True)["written"]


def test_a_host_without_anything_is_refused(call: Callable[..., Any], fresh: Path, old: Path) -> None:
    assert "has no /etc/hailo/hailo-whisper.yaml. Deploy it first" in call("make", fresh)["refused"]
    document = json.dumps(call("make", old))
    (fresh / "opt/hailo-whisper/venv/bin/hailo-whisper").unlink()
    assert "Deploy it first (playbooks/site.yml), then restore." in call("restore", fresh, document)["refused"]


def test_what_cannot_be_written_is_a_sentence(call: Callable[..., Any], old: Path, fresh: Path) -> None:
    document = json.dumps(call("make", old))
    (fresh / "etc").write_text("no folder")
    refused = call("restore", fresh, document)["refused"]
    assert refused == f"{fresh}/etc/hailo could not be read or written (Not a directory). Mend that, and run the playbook again."


Play = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def play(tmp_path: Path, old: Path) -> Play:
    """Run a playbook, as talkative as it gets, for a machine that is the folder."""
    (tmp_path / "hosts.yml").write_text(json.dumps({"hailo_whisper": {"hosts": {"kitchen": {"ansible_connection": "local"}}}}))

    def run(name: str, *arguments: str, **variables: Any) -> "subprocess.CompletedProcess[str]":
        chosen = {
            "hailo_whisper_backup_folder": str(tmp_path / "kept"),
            "backup_options": OPTIONS | {"root": str(old)},
        } | variables
        (tmp_path / "variables.json").write_text(json.dumps(chosen))
        given = (f"--inventory={tmp_path / 'hosts.yml'}", f"--extra-vars=@{tmp_path / 'variables.json'}", *arguments)
        return ansible_playbook("-vvv", "--diff", f"playbooks/{name}.yml", *given, one_line=True)

    return run


TAKEN = [
    "hailo-whisper config render",
    "systemctl daemon-reload",
    "systemctl stop hailo-whisper.service",
    "systemctl restart hailo-whisper.socket",
    "systemctl start --no-block hailo-whisper.service",
]
"""How the service is started with what was put back."""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Programs that note how they are called and then do as the cases of a shell's `case` say. Gives the file of the notes."""

    def make(cases: str) -> Path:
        (tmp_path / "bin").mkdir()
        for name in ("systemctl", "hailo-whisper"):
            text = f'#!/bin/sh\necho "{name} $*" >> {tmp_path / "notes"}\ncase "$*" in {cases} esac\n'
            (tmp_path / "bin" / name).write_text(text)
            (tmp_path / "bin" / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
        return tmp_path / "notes"

    return make


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Any]:
    """What restore.yml is told, so that it takes these programs. Nobody is ready there."""
    program = str(tmp_path / "bin/hailo-whisper")
    return {"backup_program": program, "service_ready_seconds": 0, "service_url": "http://127.0.0.1:9"}


@as_root
def test_a_restore_that_was_cut_off_is_gone_on_with(
    play: Play, tmp_path: Path, old: Path, programs: Callable[[str], Path], given: dict[str, Any]
) -> None:
    """The files are back and the service does not run with them: the next run still has to have it take them."""
    assert play("backup").returncode == 0
    (old / "etc/hailo/hailo-whisper.yaml").write_text("server:\n  port: 1\n")
    broken = tmp_path / "broken"
    broken.touch()
    notes = programs(f'"config render") test ! -e {broken} ;;')
    assert play("restore", **given).returncode != 0
    assert (old / "etc/hailo/hailo-whisper.yaml").read_text() == FILES["etc/hailo/hailo-whisper.yaml"]
    assert notes.read_text().splitlines() == ["hailo-whisper config render"]
    broken.unlink()
    play("restore", **given)
    assert notes.read_text().splitlines()[1:] == TAKEN
    notes.unlink()
    again = play("restore", **given)
    assert " changed=0 " in again.stdout
    assert not notes.exists()


@as_root
def test_a_model_that_cannot_be_had_keeps_nothing_else_from_being_in_force(
    play: Play, tmp_path: Path, old: Path, programs: Callable[[str], Path], given: dict[str, Any]
) -> None:
    """One that was imported has no source: nobody could restore such a machine."""
    models = old / "var/lib/hailo-whisper/models"
    machine(old, {f"{models.relative_to(old)}/{name}/manifest.json": manifest("ab") for name in ("ours", "theirs")})
    assert play("backup").returncode == 0
    (old / "etc/hailo/hailo-whisper.yaml").write_text("server:\n  port: 1\n")
    for name in ("ours", "theirs"):
        shutil.rmtree(models / name)
    brought = f"mkdir {models}/theirs && cp {models}/base/manifest.json {models}/theirs/"
    notes = programs(f'"models pull ours") echo "unknown model ours" >&2; exit 1 ;; "models pull theirs") {brought} ;;')
    sentence = "Of its models are missing: ours (unknown model ours). Fetch them there with"
    done = play("restore", **given)
    assert done.returncode != 0
    assert sentence in done.stdout
    assert "theirs (" not in done.stdout
    assert notes.read_text().splitlines() == ["hailo-whisper models pull ours", "hailo-whisper models pull theirs", *TAKEN]
    notes.unlink()
    again = play("restore", **given)
    assert sentence in again.stdout
    assert " changed=0 " in again.stdout
    assert notes.read_text().splitlines() == ["hailo-whisper models pull ours"]


def secret_in(text: str) -> bool:
    return KEY in text or base64.b64encode(f"default:{KEY}\n".encode()).decode() in text


def test_the_playbook_keeps_it_for_its_owner_and_shows_no_key(play: Play, tmp_path: Path) -> None:
    done = play("backup")
    assert done.returncode == 0, done.stdout + done.stderr
    kept = tmp_path / "kept" / "kitchen.json"
    assert (oct(kept.parent.stat().st_mode & 0o777), oct(kept.stat().st_mode & 0o777)) == ("0o700", "0o600")
    assert secret_in(kept.read_text())
    assert not secret_in(done.stdout + done.stderr)
    assert "is not encrypted" in done.stdout
    again = play("backup")
    assert " changed=0 " in again.stdout, again.stdout


def test_a_failure_is_told_in_the_words_of_the_program_and_not_in_those_of_ssh(play: Play) -> None:
    """Over ssh a script has a terminal: what it says in anger stands in its output."""
    failed = {
        "rc": 127,
        "msg": "non-zero return code",
        "stdout": "/bin/sh: 1: /usr/bin/python3: not found\r\n",
        "stderr": "Shared connection to kitchen closed.\r\n",
    }
    done = play("backup", backup_made=failed)
    assert done.returncode != 0
    assert "The backup of kitchen failed: /bin/sh: 1: /usr/bin/python3: not found" in done.stdout


def test_with_a_password_it_is_a_vault(play: Play, tmp_path: Path) -> None:
    done = play("backup", hailo_whisper_backup_password="of the test")
    assert done.returncode == 0, done.stdout + done.stderr
    kept = (tmp_path / "kept" / "kitchen.json").read_text()
    assert kept.startswith("$ANSIBLE_VAULT;")
    assert not secret_in(kept)
    foreseen = play("restore", "--check", hailo_whisper_backup_password="of the test")
    assert not secret_in(foreseen.stdout + foreseen.stderr)
    for wrong, sentence in (
        ("", "is encrypted. Give its password"),
        ("another", "it cannot be decrypted. Give its own password"),
    ):
        refused = play("restore", "--check", hailo_whisper_backup_password=wrong)
        assert refused.returncode != 0
        assert sentence in refused.stdout


def test_the_playbook_refuses_what_is_damaged_and_what_is_not_there(play: Play, tmp_path: Path) -> None:
    assert "Make it with playbooks/backup.yml" in play("restore").stdout
    assert play("backup").returncode == 0
    kept = tmp_path / "kept" / "kitchen.json"
    kept.write_text(kept.read_text().replace("base", "bass"))
    done = play("restore")
    assert done.returncode != 0
    assert "The backup of kitchen is damaged: its sum does not fit. Take an older one." in done.stdout
    assert not secret_in(done.stdout + done.stderr)

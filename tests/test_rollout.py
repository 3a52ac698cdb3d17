"""What a roll-out keeps of a host and puts back: the module hailo_whisper_rollout (roles/rollout)."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from played_host import FILES, SITE, UNIT, Host


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "root")


def test_an_environment_comes_back_with_its_configuration_and_units(host: Host) -> None:
    found = host.call("look")
    assert (found["version"], found["method"], found["snapshot"], found["unfinished"]) == ("1.0", "venv", None, False)
    host.call("begin", entry={"to": "2.0"})
    snapshot = host.root / "var/lib/hailo-whisper/rollback"
    assert (snapshot.stat().st_mode & 0o777, (snapshot / "snapshot.json").stat().st_mode & 0o777) == (0o700, 0o600)
    assert "sk-which" not in (snapshot / "snapshot.json").read_text()
    host.install("2.0")
    host.write("etc/hailo/hailo-whisper.keys", "other:sk-another\n")
    assert host.call("look")["unfinished"]
    foreseen = host.call("back", check=True)
    assert host.read(f"{SITE}/hailo_whisper/server.py") == "2.0"
    told = host.call("back", check=True, diff=True)["diff"]
    assert told[:2] == ["--- /etc/hailo/hailo-whisper.yaml (now)", "+++ /etc/hailo/hailo-whisper.yaml (of 1.0)"]
    assert len(told) > 3
    assert not [line for line in told if "sk-" in line], "no key"
    done = host.call("back")
    assert done == foreseen
    assert done["version"] == "1.0"
    assert set(done["changed"]) == {
        "/opt/hailo-whisper/venv",
        "/opt/hailo-whisper/installed",
        "/etc/hailo/hailo-whisper.yaml",
        f"/{UNIT}",
        "/usr/lib/systemd/system/hailo-whisper-more.service",
    }
    for name in (f"{SITE}/hailo_whisper/server.py", "opt/hailo-whisper/installed", UNIT, "etc/hailo/hailo-whisper.yaml"):
        assert host.read(name) == FILES[name]
    assert not (host.root / "usr/lib/systemd/system/hailo-whisper-more.service").exists()
    assert host.read("etc/hailo/hailo-whisper.keys") == "other:sk-another\n", "a key that was taken back stays so"
    assert "systemctl restart --no-block hailo-whisper.service" in host.read("log")
    # Again and again is as good as once, and then there is nothing to restart for.
    (host.root / "log").unlink()
    assert host.call("look")["hindrance"] == ""
    assert not host.changed("back")
    assert "restart" not in host.read("log")


def test_a_roll_out_that_was_cut_off_keeps_the_snapshot_of_before(host: Host) -> None:
    host.call("begin", entry={"to": "2.0", "drained": ["tower"]})
    host.install("2.0")
    assert host.call("begin", entry={"to": "3.0"})["from"] == "1.0"
    host.call("end", entry={"outcome": "rolled back", "reason": "no"})
    assert (host.ledger["outcome"], host.ledger["to"], host.ledger["reason"]) == ("rolled back", "3.0", "no")
    assert [each["to"] for each in host.ledger["earlier"]] == ["2.0"]
    # What has come to an end is not gone back beyond.
    assert host.call("begin", entry={"to": "4.0"})["from"] == "2.0"


def test_a_version_that_was_installed_since_is_not_gone_back_beyond(host: Host) -> None:
    host.call("begin", entry={"to": "2.0"})
    host.call("end", entry={"outcome": "failed"})
    host.install("3.0")
    found = host.call("look")
    assert (found["unfinished"], found["since"]) == (False, ["hailo-whisper 3.0"])
    assert host.call("begin", entry={"to": "4.0"})["from"] == "3.0"


def test_one_that_goes_on_with_another_may_find_either_version(host: Host) -> None:
    host.call("begin", entry={"to": "2.0"})
    host.install("2.0")
    host.call("begin", entry={"to": "3.0"})
    assert host.call("look")["unfinished"], "the version of the first, on the way to that of the second"
    assert host.call("begin", entry={"to": "4.0"})["from"] == "1.0"


def test_a_package_that_dpkg_has_begun_with_is_unfinished(host: Host) -> None:
    host.program("dpkg-query", f'cat "{host.root}/status"')
    host.program("dpkg-deb", 'cat "$3"')
    host.program("dpkg", "")
    host.write("var/lib/hailo-whisper/rollback/one.deb", "hailo-whisper 1.0+deb12u1")
    host.write("status", "hailo-whisper 1.0+deb12u1 installed\n")
    assert host.call("begin", entry={"to": "2.0"})["from"] == "1.0+deb12u1"
    for status, unfinished in {
        "2.0+deb12u1 installed": True,
        "3.0+deb12u1 unpacked": True,
        "2.0.1+deb12u1 installed": False,
    }.items():
        host.write("status", f"hailo-whisper {status}\n")
        assert host.call("look")["unfinished"] == unfinished, status


@pytest.mark.parametrize(("installed", "lacks"), [("1.0+deb12u1", []), ("0.9+deb12u1", ["hailo-whisper"])])
def test_what_is_installed_and_in_no_repository_any_more_is_no_way_back(
    host: Host, tmp_path: Path, installed: str, lacks: list[str]
) -> None:
    """By Debian's apt, which knows of both: of the one by the repository, of the other because it is installed."""
    apt, stanza = tmp_path / "apt", "Package: hailo-whisper\nArchitecture: all\nMaintainer: t\nDescription: t\nVersion: {}\n"
    for folder in ("etc", "lists/partial", "cache/archives/partial", "repository"):
        (apt / folder).mkdir(parents=True)
    (apt / "status").write_text(stanza.format(installed) + "Status: install ok installed\n")
    (apt / "repository/Packages").write_text(stanza.format("1.0+deb12u1") + f"Filename: ./one.deb\nSize: 1\nSHA256: {'0' * 64}\n")
    (apt / "etc/sources.list").write_text(f"deb [trusted=yes] file:{apt}/repository ./\n")
    places = {"Etc": "etc", "State::lists": "lists", "State::status": "status", "Cache": "cache"}
    options = [*(f"-oDir::{name}={apt / place}" for name, place in places.items()), "-oAPT::Sandbox::User=root"]
    subprocess.run(["apt-get", *options, "update"], check=True, capture_output=True)
    host.program("dpkg-query", f"echo hailo-whisper {installed} installed")
    host.program("apt-get", f'exec /usr/bin/apt-get {" ".join(options)} "$@"')
    assert host.call("look", ask_apt=True)["apt_lacks"] == lacks


def test_a_download_that_was_cut_off_is_no_way_back(host: Host) -> None:
    kept = host.root / "var/lib/hailo-whisper/rollback"
    host.program("dpkg-query", "echo hailo-whisper 1.0+deb12u1 installed")
    host.program("dpkg-deb", 'cat "$3"')
    host.program("apt-get", 'echo "hailo-whisper 1.0" >hailo-whisper_1.0.deb; echo "E: The disk is full" >&2; exit 100')
    refused = host.refused("fetch", packages={"hailo-whisper": "1.0+deb12u1"})
    assert "apt could not download hailo-whisper=1.0+deb12u1: E: The disk is full Let `apt-get update` run here" in refused
    assert host.call("look")["lacking"] == {"hailo-whisper": "1.0+deb12u1"}
    # On its way from the controller, which is another file system than that of its target.
    host.write("var/lib/hailo-whisper/rollback/.ansible_tmp7hailo-whisper_1.0.deb", "hailo-whisper 1.0+deb12u1")
    assert host.call("look")["lacking"] != {}
    host.program("apt-get", 'echo "hailo-whisper 1.0+deb12u1" >hailo-whisper_1.0.deb')
    assert host.call("fetch", packages={"hailo-whisper": "1.0+deb12u1"}) == {"brought": ["hailo-whisper_1.0.deb"]}
    assert host.call("look")["lacking"] == {}
    assert not (kept / "coming").exists()
    assert host.call("begin", entry={"to": "2.0"})["from"] == "1.0+deb12u1"
    assert [path.name for path in kept.glob("*.deb")] == ["hailo-whisper_1.0.deb"]


def test_what_was_changed_after_a_roll_out_is_named(host: Host) -> None:
    host.call("begin", entry={"to": "2.0"})
    host.install("2.0")
    host.call("end", entry={"outcome": "done"})
    assert host.call("look")["since"] == []
    host.write("etc/hailo/hailo-whisper.yaml", "port: 2\naccess: {keys: /etc/hailo/hailo-whisper.keys}\n")
    host.write("etc/hailo/models.d/mine.yaml", "")
    assert host.call("look")["since"] == ["/etc/hailo/hailo-whisper.yaml", "/etc/hailo/models.d/mine.yaml"]
    host.install_again("2.0", "2.5")
    assert host.call("look")["since"][0] == "hailo-whisper 2.5"


def test_it_is_asked_by_the_configuration_that_is_in_force(host: Host) -> None:
    rendered = "etc/xdg/hailo-whisper/hailo-whisper.json"
    keys = "/etc/hailo/hailo-whisper.keys"
    assert host.call("look")["service"] == {"url": "http://127.0.0.1:11437", "port": 11437, "key_file": keys}
    host.call("begin", entry={"to": "2.0"})
    host.write(rendered, json.dumps({"server": {"host": "0.0.0.0", "port": 8000}, "access": {"keys": None}}))
    assert host.call("look")["service"] == {"url": "http://127.0.0.1:8000", "port": 8000, "key_file": keys}
    host.write(rendered, json.dumps({"server": {"host": "fd00::7", "port": 8000}, "access": {"keys": "/srv/keys"}}))
    assert host.call("back")["service"] == {"url": "http://[fd00::7]:8000", "port": 8000, "key_file": "/srv/keys"}


def test_the_ledger_has_the_last_ten(host: Host) -> None:
    for number in range(12):
        host.call("begin", entry={"to": str(number)})
        host.call("end", entry={"outcome": "done"})
    assert [host.ledger["to"], *(each["to"] for each in host.ledger["earlier"])] == [str(number) for number in range(11, 1, -1)]


def test_a_damaged_ledger_or_snapshot_is_none(host: Host) -> None:
    host.write("var/lib/hailo-whisper/rollout.json", "{")
    host.write("var/lib/hailo-whisper/rollback/snapshot.json", '["cut off"')
    found = host.call("look")
    assert (found["ledger"], found["snapshot"]) == ({}, None)
    assert "There is no snapshot to go back to" in host.refused("back")


def test_an_environment_that_is_not_as_it_was_kept_is_not_put_back(host: Host) -> None:
    host.call("begin", entry={"to": "2.0"})
    host.install("2.0")
    (host.root / "opt/hailo-whisper/rollback/lib/python3.11/site-packages/hailo_whisper/server.py").write_text("spoilt")
    refused = host.refused("back")
    assert "is not as it was kept. Install the version that you want with playbooks/site.yml." in refused
    assert host.call("look")["hindrance"] in refused
    assert host.read(f"{SITE}/hailo_whisper/server.py") == "2.0"


def test_a_host_without_the_program_has_no_snapshot(host: Host) -> None:
    (host.root / "opt/hailo-whisper").rename(host.root / "opt/gone")
    assert host.call("look")["method"] == ""
    assert "is not installed here" in host.refused("begin", entry={})


def test_a_model_that_is_gone_is_named(host: Host) -> None:
    packaged = "usr/share/hailo-whisper/models/tiny.en/manifest.json"
    host.write(packaged, json.dumps({"files": {"model.bin": {"size": 1, "sha256": "cd"}}}))
    host.call("begin", entry={"to": "2.0"})
    (host.root / "var/lib/hailo-whisper/models/base/manifest.json").unlink()
    assert host.call("back")["models"] == ["base"]
    (host.root / packaged).unlink()
    assert host.call("back")["models"] == ["base", "tiny.en"]


def test_a_model_without_which_the_version_before_could_not_serve_is_in_the_way(host: Host) -> None:
    rendered = "etc/xdg/hailo-whisper/hailo-whisper.json"
    tiny = host.write("usr/share/hailo-whisper/models/tiny.en/manifest.json", json.dumps({"files": {}}))
    before = {"model": {"name": "base", "path": None, "fallback": ["tiny.en"]}, "models": {"offered": ["small"]}}
    host.write(rendered, json.dumps(before))
    assert host.call("look")["hindrance"] == ""
    host.call("begin", entry={"to": "2.0"})
    host.install("2.0")
    host.write(rendered, json.dumps({"model": {"name": "medium"}}))
    assert host.call("look")["needed"] == ["base", "tiny.en", "small"], "of the version before, in the middle of a roll-out"
    (host.root / "var/lib/hailo-whisper/models/base/manifest.json").unlink()
    assert host.call("look")["hindrance"] == "", "the other stands in"
    tiny.unlink()
    assert host.call("look")["hindrance"] == (
        "The model base, with which 1.0 served, is gone. Let `hailo-whisper models pull base` run here."
    )
    # A folder of one's own, and a model that goes by another name in the store.
    for model in ({"name": "base", "path": "/srv/mine"}, {"name": "deux"}):
        host.write(rendered, json.dumps({"model": model}))
        host.call("end", entry={"outcome": "done"})
        assert host.call("look")["needed"] == ([] if "path" in model else ["deux"])
        host.call("begin", entry={"to": "2.0"})
        assert host.call("look")["hindrance"] == ""


def test_a_configuration_that_is_not_taken_is_said(host: Host) -> None:
    host.program("hailo-whisper", "echo no such key >&2; exit 1", f"{host.root}/opt/hailo-whisper/venv/bin")
    host.call("begin", entry={"to": "2.0"})
    host.write("etc/hailo/hailo-whisper.yaml", "port: 2\n")
    assert "The configuration was put back, and is not taken: no such key Mend it" in host.refused("back")


def test_a_changed_socket_is_restarted_before_its_service(host: Host) -> None:
    socket = "usr/lib/systemd/system/hailo-whisper.socket"
    host.write(socket, "one")
    host.call("begin", entry={"to": "2.0"})
    host.write(socket, "two")
    host.call("back")
    said = [line for line in host.read("log").splitlines() if "stop" in line or "restart" in line]
    assert said == [
        "systemctl stop hailo-whisper.service",
        "systemctl restart hailo-whisper.socket",
        "systemctl restart --no-block hailo-whisper.service",
    ]


def test_nothing_is_noted_in_check_mode(host: Host) -> None:
    assert host.changed("begin", check=True, entry={"to": "2.0"})
    assert not (host.root / "var/lib/hailo-whisper/rollout.json").exists()
    assert not host.changed("look")


def test_a_place_that_cannot_be_written_to_is_named(host: Host) -> None:
    path = host.write("var/lib/hailo-whisper/rollback", "a file where the folder is to be")
    assert host.refused("begin", entry={"to": "2.0"}) == (
        f"{path} could not be read or written (File exists). Mend that, and run the playbook again."
    )


def test_a_snapshot_that_only_root_may_read_is_not_said_to_be_missing(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert host.refused("look", root="/").startswith("Root is needed on this host. Run ansible-playbook with --become")
    assert host.call("look")["snapshot"] is None


def test_pip_and_venv_write_into_no_file_that_is_kept(host: Host, tmp_path: Path) -> None:
    """The environment is kept by links to its files, which the next installation must not change."""
    tree = host.root / "opt/hailo-whisper/venv"
    shutil.rmtree(tree)
    subprocess.run([sys.executable, "-m", "venv", tree], check=True)

    def install(version: str) -> None:
        wheel = tmp_path / f"hailo_whisper-{version}-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            inside = f"hailo_whisper-{version}.dist-info"
            archive.writestr("hailo_whisper/server.py", version)
            archive.writestr(f"{inside}/METADATA", f"Metadata-Version: 2.1\nName: hailo-whisper\nVersion: {version}\n")
            archive.writestr(f"{inside}/WHEEL", "Wheel-Version: 1.0\nGenerator: us\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{inside}/entry_points.txt", "[console_scripts]\nhailo-whisper = hailo_whisper.server:main\n")
            archive.writestr(f"{inside}/RECORD", "")
        pip = [
            str(tree / "bin/python"),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-index",
            "--no-deps",
            "--force-reinstall",
            str(wheel),
        ]
        subprocess.run(pip, check=True)
        # What is put back is asked to render the configuration.
        host.program("hailo-whisper", "echo unchanged /etc/xdg", f"{tree}/bin")

    install("1.0")
    host.call("begin", entry={"to": "2.0"})
    (server,) = tree.glob("lib/python3*/site-packages/hailo_whisper/server.py")
    assert server.stat().st_nlink == 2, "it takes no room"
    (tree / "bin/hailo-whisper").unlink()
    install("2.0")
    assert host.call("look")["version"] == "2.0"
    subprocess.run([sys.executable, "-m", "venv", "--clear", tree], check=True)
    assert host.call("back")["version"] == "1.0"
    assert host.call("look")["version"] == "1.0"
    assert server.read_text() == "1.0"

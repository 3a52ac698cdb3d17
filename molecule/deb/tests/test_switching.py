"""The playbook takes the machine over by the package, goes over to an environment of its own and back, and refuses what nobody has signed."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from testinfra.host import Host

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "default/tests"))

from service import CLIP, KEY_FILE, PROJECT, Service, run_playbook, words

HERE = Path(__file__).resolve().parent
Playbook = Callable[..., "subprocess.CompletedProcess[str]"]
REPOSITORY = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "repository"
MODELS = "/var/lib/hailo-whisper/models"
SOURCE = "/etc/hailo/hailo-whisper.yaml"
PROGRAM = "/opt/hailo-whisper"
# The role that installs the program, by itself: the rest of a run is minutes that show nothing more.
SERVER = ("--tags", "server")
SERVED = "http://127.0.0.1:8099"


@pytest.fixture
def service(host: Host) -> Iterator[Service]:
    service = Service(str(host.backend.name))
    yield service
    service.client.close()


@pytest.fixture
def playbook(host: Host) -> Playbook:
    """Deploy the machine, with variables over those of the inventory."""
    run = partial(run_playbook, HERE.parent / "inventory", str(host.backend.name), "site.yml")
    return lambda *options, **variables: run(*options, "--extra-vars", json.dumps(variables))


@pytest.fixture(scope="module")
def served(host: Host) -> Iterator[str]:
    """The repository on a web server, on the machine itself."""
    host.check_output(f"systemd-run --unit=web python3 -m http.server --bind 127.0.0.1 --directory /srv/repository {SERVED[-4:]}")
    end = time.monotonic() + 20
    ask = f"python3 -c \"import urllib.request; urllib.request.urlopen('{SERVED}/dists/bookworm/InRelease')\""
    while host.run(ask).rc != 0:
        assert time.monotonic() < end, "it does not answer"
        time.sleep(0.2)
    yield SERVED
    host.check_output("systemctl stop web.service")


def said(done: "subprocess.CompletedProcess[str]") -> str:
    """What a playbook said, on one line."""
    return " ".join((done.stdout + done.stderr).split())


def succeeded(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return said(done)


def method(host: Host) -> str:
    """What the machine tells Ansible."""
    return str(json.loads(host.check_output("/etc/ansible/facts.d/hailo_whisper.fact"))["method"])


def belongings(host: Host) -> str:
    """The sums of what is the administrator's: keys and models, with their owners."""
    return str(host.check_output(f"find {KEY_FILE} {MODELS} -type f -exec sha256sum '{{}}' + -printf '%p %u:%g %m\\n' | sort"))


@pytest.fixture(scope="module")
def before(host: Host) -> str:
    return belongings(host)


def assert_serves(host: Host, service: Service, before: str) -> None:
    """It transcribes, for who has the key of before, and nothing was lost."""
    service.await_ready()
    assert words(service.transcribe()) == words(CLIP)
    assert belongings(host) == before
    units = ("hailo-whisper.socket", "hailo-whisper.service", "hailo-whisper-config.service")
    assert host.check_output(f"systemctl is-enabled {' '.join(units)}").split() == ["enabled"] * 3


def test_the_playbook_takes_over_what_apt_has_installed(host: Host, service: Service, playbook: Playbook, before: str) -> None:
    pid = host.check_output("systemctl show --property=MainPID --value hailo-whisper.service")
    succeeded(playbook())
    assert_serves(host, service, before)
    assert method(host) == "deb"
    assert host.file("/etc/apt/sources.list.d/hailo-whisper.sources").contains("URIs: file:/var/lib/hailo-whisper-repository")
    # The program is the same; the configuration is the inventory's now.
    assert host.check_output("systemctl show --property=MainPID --value hailo-whisper.service") != pid
    assert " changed=0 " in succeeded(playbook())
    assert " changed=0 " in succeeded(playbook(*SERVER, "--check", "--diff"))


def test_from_the_package_to_an_environment_of_its_own(host: Host, service: Service, playbook: Playbook, before: str) -> None:
    configured = host.file(SOURCE).sha256sum
    would = succeeded(playbook(*SERVER, "--check", "--diff", hailo_whisper_install_method="venv"))
    assert "The packages hailo-whisper would be removed. Configuration, keys, models and state would stay." in would
    assert method(host) == "deb"
    succeeded(playbook(hailo_whisper_install_method="venv"))
    assert_serves(host, service, before)
    assert method(host) == "venv"
    assert host.file(SOURCE).sha256sum == configured
    assert host.run("dpkg-query --show --showformat='${db:Status-Status}' hailo-whisper").stdout in (
        "config-files",
        "not-installed",
    )
    assert host.file(f"{PROGRAM}/venv/bin/pip").exists
    assert not host.file("/etc/apt/sources.list.d/hailo-whisper.sources").exists
    # Whoever tidies up what dpkg remembers takes nothing of it away.
    kept = host.check_output("dpkg --purge hailo-whisper 2>&1")
    assert "is not the package's any more" in kept
    assert not host.file(SOURCE).exists, "dpkg itself removes a conffile"
    succeeded(playbook("--tags", "config", hailo_whisper_install_method="venv"))
    assert_serves(host, service, before)
    assert host.file(SOURCE).sha256sum == configured


def test_and_back_to_the_package_from_a_web_server(
    host: Host, service: Service, playbook: Playbook, before: str, served: str
) -> None:
    remote = {"hailo_whisper_apt_repository": served, "hailo_whisper_apt_key": f"{REPOSITORY}/hailo-whisper.asc"}
    configured = host.file(SOURCE).sha256sum
    assert "hailo-whisper would be installed." in succeeded(playbook(*SERVER, "--check", "--diff", **remote))
    assert method(host) == "venv"
    succeeded(playbook(**remote))
    assert_serves(host, service, before)
    assert method(host) == "deb"
    assert host.file(SOURCE).sha256sum == configured
    there = host.check_output(f"find {PROGRAM} | sort").splitlines()
    assert there == host.check_output(f"dpkg --listfiles hailo-whisper | grep ^{PROGRAM} | sort").splitlines()
    changed = host.run("dpkg --verify hailo-whisper").stdout
    assert [line.split()[-1] for line in changed.splitlines()] == [SOURCE]
    assert " changed=0 " in succeeded(playbook(*SERVER, **remote))


def test_an_accelerators_package_comes_and_goes_with_what_the_inventory_says(
    host: Host, service: Service, playbook: Playbook, before: str
) -> None:
    """There is no device: the machine is prepared for one."""
    name, drop_in = "hailo-whisper-accel-hailo", "/usr/lib/systemd/system/hailo-whisper.service.d/10-hailo.conf"
    ask = f"dpkg-query --show --showformat='${{db:Status-Status}}' {name}"
    later = {"hailo_whisper_accelerator": "hailo", "hailo_whisper_accelerator_later": True}
    succeeded(playbook("--tags", "config", **later))
    assert host.check_output(ask) == "installed"
    assert host.check_output(f"dpkg --search {drop_in}").startswith(f"{name}:")
    assert host.check_output(f"dpkg --verify {name}") == ""
    assert f"The package {name} would be removed." in succeeded(
        playbook("--tags", "config", "--check", hailo_whisper_accelerator="cpu")
    )
    succeeded(playbook("--tags", "config", hailo_whisper_accelerator="cpu"))
    assert host.run(ask).stdout != "installed"
    assert not host.file(drop_in).exists
    assert host.user("hailo-whisper").groups == ["hailo-whisper"]
    assert_serves(host, service, before)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the repository, to be spoilt, with one package more, of a version that nobody has."""
    folder = tmp_path / "repository"
    shutil.copytree(REPOSITORY, folder, copy_function=os.link)
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        "Package: hailo-whisper\nVersion: 9.0+deb12u1\nArchitecture: amd64\nMaintainer: Nobody <nobody@example.org>\nDescription: none\n"
    )
    (tmp_path / "debs").mkdir()
    subprocess.run(["dpkg-deb", "-Znone", "--build", tree, tmp_path / "debs"], check=True, capture_output=True)
    return folder


def build(folder: Path, *options: str | Path) -> None:
    """Add the one package more."""
    subprocess.run(
        [PROJECT / "script/build-repo", "--no-build", "--output", folder, "--add", folder.with_name("debs"), *options],
        check=True,
        capture_output=True,
        env=os.environ | {"XDG_CONFIG_HOME": f"{REPOSITORY}-key"},
    )


def refuse(host: Host, done: "subprocess.CompletedProcess[str]") -> str:
    """It was refused, and the version of before is there."""
    assert done.returncode != 0, done.stdout
    assert host.check_output("dpkg-query --show --showformat='${Version} ${db:Status-Status}' hailo-whisper").endswith(
        "+deb12u1 installed"
    )
    assert not host.check_output("dpkg-query --show --showformat='${Version}' hailo-whisper").startswith("9.0")
    return said(done)


def test_a_repository_of_anothers_is_refused(host: Host, playbook: Playbook, copied: Path, tmp_path: Path) -> None:
    trusted = tmp_path / "trusted.asc"
    shutil.copy(copied / "hailo-whisper.asc", trusted)
    os.environ["GNUPGHOME"] = str(tmp_path)
    subprocess.run(
        [
            "gpg",
            "--batch",
            "--passphrase=",
            "--pinentry-mode=loopback",
            "--quick-generate-key",
            "stranger",
            "ed25519",
            "sign",
            "never",
        ],
        check=True,
        capture_output=True,
    )
    build(copied, "--key", "stranger", "--change-key")
    told = refuse(host, playbook(*SERVER, hailo_whisper_apt_repository=str(copied), hailo_whisper_apt_key=str(trusted)))
    assert "and nothing was installed. apt says: " in told
    assert "NO_PUBKEY" in told
    assert f"It is not signed with the key {trusted}, or was changed after it was signed." in told


def test_a_repository_that_was_changed_after_it_was_signed_is_refused(host: Host, playbook: Playbook, copied: Path) -> None:
    release = copied / "dists/bookworm/InRelease"
    changed = release.read_text().replace("Label: hailo-whisper", "Label: hailo-whimper")
    release.unlink()
    release.write_text(changed)
    told = refuse(host, playbook(*SERVER, hailo_whisper_apt_repository=str(copied)))
    assert "BADSIG" in told
    assert "or was changed after it was signed." in told


@pytest.mark.parametrize("way", ["repository", "file"])
def test_a_package_that_was_cut_off_is_refused(host: Host, service: Service, playbook: Playbook, copied: Path, way: str) -> None:
    if way == "repository":
        build(copied)
    (package,) = (copied if way == "repository" else copied.with_name("debs")).rglob("hailo-whisper_9.0+deb12u1_amd64.deb")
    package.write_bytes(package.read_bytes()[:-300])
    where = {"hailo_whisper_apt_repository": str(copied)}
    if way == "file":
        where = {"hailo_whisper_apt_repository": "", "hailo_whisper_deb": str(package)}
    told = refuse(host, playbook(*SERVER, **where))
    assert "could not install hailo-whisper. apt says: " in told
    assert "What came is not the whole package, or not the one that was signed." in told
    assert words(service.transcribe()) == words(CLIP)
    assert host.check_output("find /var/tmp -mindepth 1 -maxdepth 1 -name '*hailo-whisper*' ! -name 'systemd-private-*'") == ""

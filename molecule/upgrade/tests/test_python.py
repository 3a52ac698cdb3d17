"""The build for Debian 12 on a system with another Python: refused by apt, and told in a sentence by what was forced."""

import subprocess
from pathlib import Path

import pytest
from machine import UNIT, Machine
from testinfra.host import Host

from service import PROJECT

PYTHON = "/usr/bin/python3.11"


@pytest.fixture
def on_debian_13(host: Host, tmp_path: Path) -> str:
    """The start of a command that runs in a container of Debian 13 that has the package in /srv."""
    image = subprocess.run(
        ["bash", "-c", ". script/bootstrap && bootstrap_image trixie >&2 && echo $IMAGE"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    subprocess.run(["podman", "cp", f"{host.backend.name}:/srv/after", tmp_path], check=True)
    return f"podman run --rm --network=none --volume {tmp_path}/after:/srv:ro --env LC_ALL=C {image}"


def test_apt_refuses_it_and_what_was_forced_says_which_build_to_take(on_debian_13: str) -> None:
    simulated = subprocess.run(
        f"{on_debian_13} sh -c 'apt-get install --simulate --no-install-recommends /srv/hailo-whisper_*.deb'",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert simulated.returncode != 0
    assert "hailo-whisper : Depends: python3 (< 3.12)" in simulated.stdout
    forced = subprocess.run(
        f"{on_debian_13} sh -c 'dpkg --force-depends --install /srv/hailo-whisper_*.deb'",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert forced.returncode != 0
    said = [line for line in forced.stderr.splitlines() if line.startswith("hailo-whisper: ")]
    assert said == [
        f"hailo-whisper: {PYTHON} is not on this machine, so the service cannot run. Install the build for this release of Debian: "
        "its version ends in +deb12u1 for Debian 12, in +deb13u1 for Debian 13."
    ]
    assert "Traceback" not in forced.stdout + forced.stderr


def test_a_python_that_went_away_is_named_and_the_service_is_back_with_it(host: Host, machine: Machine) -> None:
    machine.serves(machine.before)
    began = host.check_output("date +%s")
    host.check_output(f"mv {PYTHON} {PYTHON}.away && systemctl kill --signal=KILL {UNIT}")
    try:
        said = ""
        # Restart= tries it once a second, so that nobody has to.
        journal = f"journalctl --unit={UNIT} --since=@{began} --output=cat --no-pager"
        host.check_output(f"timeout 30 sh -c 'until {journal} | grep --quiet status=203/EXEC; do sleep 0.2; done'")
        said = host.check_output(journal)
        assert "/opt/hailo-whisper/venv/bin/python: No such file or directory" in said
        assert "Traceback" not in said
    finally:
        host.check_output(f"mv {PYTHON}.away {PYTHON}")
    machine.serves(machine.before)
    machine.is_whole(machine.before)

"""The tests that the package declares for Debian's own tester (packaging/debian/tests), run by it on this machine."""

import subprocess

import pytest
from testinfra.host import Host

from service import PROJECT


@pytest.mark.timeout(900)
def test_the_package_passes_its_own_tests(host: Host) -> None:
    host.check_output(
        "apt-get update --quiet --quiet && DEBIAN_FRONTEND=noninteractive"
        " apt-get install --yes --quiet --quiet --no-install-recommends autopkgtest"
    )
    host.check_output("mkdir -p /srv/source")
    subprocess.run(["podman", "cp", PROJECT / "packaging/debian", f"{host.backend.name}:/srv/source/debian"], check=True)
    # So that there is a version before for apt, as there is in a repository.
    host.check_output(
        "cd /srv/before && apt-ftparchive packages . >Packages &&"
        " echo 'deb [trusted=yes] file:/srv/before ./' >/etc/apt/sources.list.d/before.list && apt-get update --quiet --quiet"
    )
    # The machine is a container, and nobody needs it after the last of them; autopkgtest cannot know either.
    done = host.run(
        "autopkgtest --no-built-binaries --ignore-restrictions=isolation-container,breaks-testbed --summary-file=/srv/summary"
        " /srv/after/hailo-whisper_*.deb /srv/source/ -- null 2>&1"
    )
    summary = host.check_output("cat /srv/summary") if host.file("/srv/summary").exists else ""
    assert (done.rc, [line.split() for line in summary.splitlines()]) == (
        0,
        [["smoke", "PASS"], ["upgrade", "PASS"], ["removal", "PASS"]],
    ), done.stdout[-6000:]

"""A machine without a network, deployed from a bundle: it transcribes, and nothing of it needs what is not there."""

import json
import os
import sys
import time
from pathlib import Path

import jiwer
from testinfra.host import Host

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "default/tests"))

from service import CLIP, Service, words

OWN = "APT_CONFIG=/etc/apt/hailo-whisper-airgap.conf"


def test_it_transcribes(host: Host) -> None:
    service = Service(str(host.backend.name))
    service.await_ready()
    assert jiwer.wer(words(CLIP), words(service.transcribe())) <= 0.1


def test_it_has_no_network(host: Host) -> None:
    # By which openssh-server came, before the network was taken away.
    assert host.run("grep -rhE '^(deb |URIs: *http)' /etc/apt").stdout, "its own sources are still there"
    assert host.run("timeout 60 apt-get update --error-on=any -o Acquire::Retries=0").rc != 0
    # It answered before the route was taken.
    address, port = host.check_output("cat /root/answered").split()
    assert host.run(f"timeout 20 python3 -c 'import socket; socket.create_connection((\"{address}\", {port}), 10)'").rc != 0


def test_the_service_is_the_bundle_s_package(host: Host) -> None:
    assert host.check_output("dpkg-query --show --showformat='${db:Status-Status}' hailo-whisper") == "installed"
    assert host.check_output("dpkg --verify hailo-whisper").split()[-1:] in ([], ["/etc/hailo/hailo-whisper.yaml"])
    assert host.check_output("hailo-whisper models verify") == "ok tiny.en"


def test_apt_keeps_to_the_bundle_without_waiting(host: Host) -> None:
    # It tries to connect for half a minute and longer where nobody answers.
    before = time.monotonic()
    host.check_output(f"{OWN} apt-get update --error-on=any")
    assert time.monotonic() - before < 25
    assert "hailo-whisper" in host.check_output(f"{OWN} apt-cache policy hailo-whisper")
    # For everybody else, apt is as it was.
    assert host.check_output("apt-config shell parts Dir::Etc::SourceParts") == "parts='sources.list.d'"


def test_nothing_is_left_of_the_way(host: Host) -> None:
    assert host.check_output("ls /var/lib/hailo-whisper-repository") == "dists"
    assert host.run("find / -xdev -name 'hailo-whisper*.deb' -o -xdev -name '*.hailo-whisper'").stdout == ""


def test_the_bundle_has_what_a_minimal_debian_lacks() -> None:
    bundle = Path(os.environ["CACHE"]) / "airgap/operator/bundle"
    packages = {package["name"] for package in json.loads((bundle / "bundle.json").read_text())["packages"]}
    # The machine has these already, so that it does not show it.
    assert {"hailo-whisper", "python3", "python3-apt", "python3.11-minimal", "libexpat1"} <= packages
    assert not {"libc6", "dpkg", "apt", "systemd"} & packages
    there = {path.name.partition("_")[0] for path in (bundle / "repository/pool").rglob("*.deb")}
    assert there == packages

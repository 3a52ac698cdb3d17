"""A model as a package: on a machine that has no network at all, two packages and two lines of configuration make a service that is ready."""

import json
import sys
from pathlib import Path

from testinfra.host import Host

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "default/tests"))

from service import Service

SOURCE = "/etc/hailo/hailo-whisper.yaml"
APT = "DEBIAN_FRONTEND=noninteractive apt-get --yes"
# By its file: after the tests before these, the sources of apt lead to repositories that are gone.
PACKAGE = '$(find /srv/repository/pool -name "hailo-whisper_*.deb")'
PACKAGED = "/usr/share/hailo-whisper/models/tiny.en"


def test_installed_with_a_model_it_is_ready_without_a_network(host: Host) -> None:
    host.check_output(f"cp {SOURCE} /root/kept.yaml && cp /etc/hailo/hailo-whisper.keys /root/kept.keys")
    host.check_output(f"{APT} purge hailo-whisper && rm --recursive --force /var/lib/hailo-whisper")
    # What a site's own image brings: dpkg takes it for the administrator's.
    host.check_output(
        f"mkdir --parents /etc/hailo && mv /root/kept.yaml {SOURCE} && mv /root/kept.keys /etc/hailo/hailo-whisper.keys"
    )
    packages = f"{PACKAGE} /srv/packages/hailo-whisper-model-tiny-en_*.deb"
    # In a network of its own, which is empty.
    said = host.check_output(
        f"unshare --net sh -c '{APT} --no-install-recommends -o Dpkg::Options::=--force-confold install {packages}'"
    )
    assert "models pull" not in said
    host.check_output("chgrp hailo-whisper /etc/hailo/hailo-whisper.keys && chmod 0640 /etc/hailo/hailo-whisper.keys")
    service = Service(str(host.backend.name))
    service.await_ready()
    assert "cold" in service.transcribe().lower()
    assert host.check_output("hailo-whisper models path") == PACKAGED
    # Known by its time and its size, as dpkg has placed it: gigabytes are not hashed at each start.
    shown = json.loads(host.run("hailo-whisper doctor --only models --json").stdout)["findings"]
    assert [(one["state"], one["found"]) for one in shown] == [("ok", f"tiny.en in {PACKAGED}, as it was verified")]


def test_it_is_the_package_s_and_goes_with_it(host: Host) -> None:
    assert host.check_output("hailo-whisper models pull tiny.en") == "unchanged tiny.en"
    refused = host.run("hailo-whisper models remove tiny.en")
    assert refused.rc == 1
    assert "is not the store's but a package's" in refused.stderr
    assert host.check_output("dpkg --verify hailo-whisper-model-tiny-en") == ""
    fact = json.loads(host.check_output("/usr/lib/hailo-whisper/hailo_whisper.fact"))
    assert set(fact["models"]) == {"tiny.en"}
    host.check_output(f"{APT} purge hailo-whisper-model-tiny-en")
    assert not host.file("/usr/share/hailo-whisper").exists
    assert "hailo-whisper models pull tiny.en" in host.run("hailo-whisper models path").stderr

"""The package on a machine where somebody has the service's port and its name already: it is installed all the same, and says so."""

import json

from testinfra.host import Host

APT = "DEBIAN_FRONTEND=noninteractive apt-get --yes"
# By its file: after the tests before these, the sources of apt lead to repositories that are gone.
PACKAGE = '$(find /srv/repository/pool -name "hailo-whisper_*.deb")'
UNITS = "hailo-whisper.socket hailo-whisper.service"


def test_the_port_and_the_user_are_somebody_elses(host: Host) -> None:
    host.check_output(f"{APT} purge hailo-whisper")
    host.run("userdel hailo-whisper")
    host.run("groupdel hailo-whisper")
    host.check_output("useradd --create-home --shell /bin/bash --uid 1234 --gid users hailo-whisper")
    host.check_output("systemd-run --unit=squatter python3 -m http.server --bind 127.0.0.1 11437")
    try:
        done = host.run(f"{APT} install --no-install-recommends {PACKAGE}")
        assert done.rc == 0, done.stderr
        last = done.stdout.splitlines()[-1]
        assert "127.0.0.1 port 11437 is taken by " in last
        assert "http.server" in last
        assert "Stop it, or set server.port to another" in last
        assert "there is a user hailo-whisper already (number 1234, shell /bin/bash)" in done.stdout + done.stderr
        # Where people look later.
        assert last in host.check_output("journalctl --identifier=hailo-whisper --output=cat --no-pager")
    finally:
        host.check_output("systemctl stop squatter.service")
    # What the line says, and what the other one does.
    host.check_output(f"systemctl enable --now {UNITS}")
    assert host.service("hailo-whisper.service").is_running
    assert host.check_output("ps -o uid= -p $(systemctl show --property=MainPID --value hailo-whisper.service)").strip() == "1234"
    host.check_output(f"systemctl stop {UNITS} && usermod --login somebody hailo-whisper")
    done = host.run("DEBIAN_FRONTEND=noninteractive dpkg-reconfigure hailo-whisper")
    assert done.rc == 0, done.stderr
    assert host.user("hailo-whisper").shell == "/usr/sbin/nologin"
    assert host.user("hailo-whisper").uid < 1000
    assert host.service("hailo-whisper.service").is_running


def test_ansible_is_told_of_it_until_it_is_removed(host: Host) -> None:
    fact = host.file("/etc/ansible/facts.d/hailo_whisper.fact")
    assert fact.linked_to == "/usr/lib/hailo-whisper/hailo_whisper.fact"
    assert json.loads(host.check_output(fact.path))["method"] == "deb"
    host.check_output(f"{APT} remove hailo-whisper")
    assert not host.file("/etc/ansible").exists
    # Whoever has put one of their own there keeps it.
    host.check_output("mkdir --parents /etc/ansible/facts.d && echo '{}' >/etc/ansible/facts.d/hailo_whisper.fact")
    host.check_output(f"{APT} install --no-install-recommends {PACKAGE}")
    assert not fact.is_symlink
    host.check_output(f"{APT} purge hailo-whisper")
    assert fact.exists
    host.check_output("rm --recursive /etc/ansible")

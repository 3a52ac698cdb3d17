"""The end of the package, in this order: removed, it leaves what is the administrator's; purged, the models alone."""

from testinfra.host import Host

MADE = "/etc/xdg/hailo-whisper /etc/systemd/system/hailo-whisper.service.d /etc/systemd/system/hailo-whisper.socket.d"
STATE = "/var/lib/hailo-whisper/state /var/cache/hailo-whisper /run/hailo-whisper"
APT = "DEBIAN_FRONTEND=noninteractive apt-get --yes"


def there(host: Host, paths: str) -> list[str]:
    return [path for path in paths.split() if host.file(path).exists]


def test_removed_it_keeps_configuration_and_data(host: Host) -> None:
    host.check_output(f"{APT} remove hailo-whisper")
    assert there(host, "/opt/hailo-whisper /usr/bin/hailo-whisper /usr/lib/systemd/system/hailo-whisper.service") == []
    assert host.run("systemctl is-active hailo-whisper.socket hailo-whisper.service").stdout.split() == ["inactive"] * 2
    kept = "/etc/hailo/hailo-whisper.yaml /etc/hailo/hailo-whisper.keys /var/lib/hailo-whisper/models/tiny.en/model.bin"
    assert there(host, kept) == kept.split()


def test_purged_it_keeps_the_models_alone(host: Host) -> None:
    said = host.check_output(f"{APT} purge hailo-whisper")
    assert "The models stay in /var/lib/hailo-whisper/models" in said
    assert there(host, f"/etc/hailo {MADE} {STATE}") == []
    assert host.check_output("ls /var/lib/hailo-whisper") == "models"
    assert host.check_output("find /etc/systemd/system /var/lib/systemd -name '*hailo-whisper*'") == ""


def test_installed_again_it_has_its_models_and_purged_it_leaves_none_when_asked(host: Host) -> None:
    said = host.check_output(f"{APT} install --no-install-recommends /srv/packages/hailo-whisper_*.deb")
    assert said.splitlines()[-1].endswith("Run `hailo-whisper models pull base`."), "the configuration is the package's again"
    assert host.check_output("hailo-whisper models verify") == "ok tiny.en"
    host.check_output("touch /etc/hailo/purge-models")
    host.check_output(f"{APT} purge hailo-whisper")
    assert there(host, f"/etc/hailo {MADE} {STATE} /var/lib/hailo-whisper /opt/hailo-whisper") == []


def test_a_purge_and_a_removal_of_what_is_not_there_do_nothing(host: Host) -> None:
    host.check_output("dpkg --purge hailo-whisper")

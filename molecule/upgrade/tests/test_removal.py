"""The end of the package, in this order: removed, it leaves what is the administrator's; purged, the models alone; nothing, when that is asked for."""

from machine import SOURCE, Machine
from testinfra.host import Host

MADE = "/etc/xdg/hailo-whisper /etc/systemd/system/hailo-whisper.service.d /etc/systemd/system/hailo-whisper.socket.d"
STATE = "/var/lib/hailo-whisper/state /var/cache/hailo-whisper /run/hailo-whisper"
# The users stay, because files may be theirs, and the group with them.
STAYS = {"user hailo-whisper", "group hailo-whisper", "group hailo"}


def there(host: Host, paths: str) -> list[str]:
    return [path for path in paths.split() if host.file(path).exists]


def done(outcome: tuple[int, str]) -> str:
    status, said = outcome
    assert status == 0, said
    return said


def test_removed_it_keeps_configuration_and_data(host: Host, machine: Machine) -> None:
    kept = machine.sums()
    done(machine.apt("remove hailo-whisper"))
    assert there(host, "/opt/hailo-whisper /usr/bin/hailo-whisper /usr/lib/systemd/system/hailo-whisper.service") == []
    assert host.run("systemctl is-active hailo-whisper.socket hailo-whisper.service").stdout.split() == ["inactive"] * 2
    assert machine.sums() == kept


def test_installed_again_it_serves_as_before(machine: Machine) -> None:
    kept = machine.sums()
    done(machine.install("after"))
    machine.is_whole(machine.after)
    assert machine.sums() == kept
    machine.serves(machine.after)


def test_purged_it_keeps_the_models_alone(host: Host, machine: Machine) -> None:
    done(machine.apt("install --no-install-recommends /srv/after/hailo-whisper-accel-hailo_*.deb"))
    # As `config migrate` leaves it.
    host.check_output(f"cp {SOURCE} {SOURCE}.schema-0")
    said = done(machine.apt("purge hailo-whisper hailo-whisper-accel-hailo"))
    assert "The models stay in /var/lib/hailo-whisper/models" in said
    assert there(host, f"/etc/hailo {MADE} {STATE}") == []
    assert host.check_output("ls /var/lib/hailo-whisper") == "models"


def test_installed_anew_it_has_its_models_and_purged_it_leaves_nothing_when_asked(host: Host, machine: Machine) -> None:
    said = done(machine.install("after"))
    assert said.splitlines()[-1].endswith("Run `hailo-whisper models pull base`."), "the configuration is the package's again"
    assert host.check_output("hailo-whisper models verify") == "ok tiny.en"
    host.check_output("touch /etc/hailo/purge-models")
    done(machine.apt("purge hailo-whisper"))
    host.check_output("sh /srv/noted.sh /root/noted-after")
    before, after = (set(host.check_output(f"cat /root/{name}").splitlines()) for name in ("noted", "noted-after"))
    assert before - after == set()
    assert after - before == STAYS


def test_a_purge_of_what_is_not_there_does_nothing(host: Host) -> None:
    host.check_output("dpkg --purge hailo-whisper")

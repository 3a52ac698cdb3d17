"""An upgrade that cannot be: it says why, and the version before is whole and serves, whatever stopped it."""

from collections.abc import Iterator
from contextlib import contextmanager

from machine import TREE, Machine
from testinfra.host import Host

SMALL = "/srv/small"
# Full together, as they are on a machine with one disk.
FOLDERS = f"{TREE} /var/lib/dpkg /etc/hailo /etc/xdg/hailo-whisper"


@contextmanager
def small_disk(host: Host, room: int) -> Iterator[None]:
    """Have a disk with so many MB of room below what an upgrade writes to; at its end, all is as before."""
    host.check_output(
        f"mkdir -p {SMALL} && mount -t tmpfs -o size=$(($(du -cms {FOLDERS} | tail -n 1 | cut -f 1) + {room}))m,mode=755 small {SMALL}"
        f" && for folder in {FOLDERS}; do mkdir -p {SMALL}$folder && cp -a $folder/. {SMALL}$folder && mount --bind {SMALL}$folder $folder;"
        " done"
    )
    try:
        yield
    finally:
        # The service has some of it open; it lets go of it when it is started anew.
        host.check_output(
            f"for folder in {FOLDERS} {SMALL}; do umount --lazy $folder; done; systemctl restart hailo-whisper.service"
        )


def test_without_room_for_a_second_version_nothing_is_begun(host: Host, machine: Machine) -> None:
    with small_disk(host, 300):
        status, said = machine.install("after")
        assert status != 0
        assert f"MB in {TREE}" in said
        assert "Nothing was changed. Make room there" in said
        machine.is_whole(machine.before)
        machine.serves(machine.before)


def test_a_disk_that_is_full_in_the_middle_brings_the_version_before_back(host: Host, machine: Machine) -> None:
    kept = machine.sums()
    with small_disk(host, 700):
        # Somebody else takes what was there when the package looked.
        begun = f"until find {TREE} -name *.dpkg-new | grep --quiet .; do sleep 0.05; done"
        left = f"$(($(df --output=avail --block-size=1M {SMALL} | tail -n 1) - 50))"
        host.check_output(f"systemd-run --quiet --collect --unit=fill bash -c '{begun}; fallocate --length {left}M {SMALL}/fill'")
        status, said = machine.install("after")
        assert status != 0
        assert "No space left on device" in said
        machine.serves(machine.before)
        host.check_output(f"rm {SMALL}/fill")
        machine.is_whole(machine.before)
    machine.serves(machine.before)
    assert machine.sums() == kept


def test_a_folder_that_cannot_be_written_is_named_and_nothing_is_begun(host: Host, machine: Machine) -> None:
    host.check_output(f"mount --bind {TREE} {TREE} && mount -o remount,ro,bind {TREE}")
    try:
        status, said = machine.install("after")
        assert status != 0
        assert f"{TREE} cannot be written: is it mounted read-only?" in said
        machine.serves(machine.before)
    finally:
        host.check_output(f"umount --lazy {TREE}")
    machine.is_whole(machine.before)
    # What people type then has nothing to mend.
    host.check_output("dpkg --configure -a")
    assert machine.apt("--fix-broken install")[0] == 0
    machine.is_whole(machine.before)
    machine.serves(machine.before)

"""A disk without any room: for the configuration, the keys, the models, the state and the cache."""

from collections.abc import Iterator

import pytest
from appliance import UNIT, doctor
from load import Load
from testinfra.host import Host

from service import CLIP, Service, words

SMALL = "/srv/small"
FOLDERS = "/var/lib/hailo-whisper /var/cache/hailo-whisper /etc/hailo /etc/xdg/hailo-whisper"
PULL = "hailo-whisper models pull tiny.en --force --source folder:/srv/models"
# Of another language than the one in force, so that there is something to write.
RENDER = 'sed \'s/level: "info"/level: "debug"/; s/duration_seconds: .*/duration_seconds: 77/\' /etc/hailo/hailo-whisper.yaml >/root/other.yaml; hailo-whisper config render --source /root/other.yaml'


@pytest.fixture
def small(host: Host, service: Service) -> Iterator[None]:
    """Have a disk of its own for all that the service has, of bounded size; at the end all is as before."""
    host.check_output(
        f"mkdir -p {SMALL} && mount -t tmpfs -o size=300m,mode=755 small {SMALL} && for folder in {FOLDERS}; do mkdir -p {SMALL}$folder"
        f" && cp -a $folder/. {SMALL}$folder && chown --reference=$folder {SMALL}$folder && chmod --reference=$folder {SMALL}$folder"
        f" && mount --bind {SMALL}$folder $folder; done && systemctl restart {UNIT}"
    )
    service.await_ready()
    yield
    # The service has some of it open; it lets go of it when it is started anew.
    host.check_output(f"for folder in {FOLDERS} {SMALL}; do umount --lazy $folder; done; systemctl restart {UNIT}")


def refused(host: Host, command: str) -> str:
    """What a command says that fails."""
    done = host.run(command)
    assert done.rc == 1, done.stdout
    assert "Traceback" not in done.stderr
    return " ".join(done.stderr.split())


@pytest.mark.usefixtures("small")
def test_a_full_disk_keeps_nobody_from_transcribing_and_leaves_each_file_whole(host: Host, service: Service) -> None:
    listed = f"find {FOLDERS} -type f ! -name .lock -print0 | sort --zero-terminated | xargs -0 sha256sum"
    before = host.check_output(listed)
    host.run(f"dd if=/dev/zero of={SMALL}/fill bs=1M status=none")
    assert host.check_output(f"df --output=avail {SMALL} | tail --lines=1").strip() == "0"
    with Load(service, first=2) as load:
        host.check_output(f"systemctl restart {UNIT}")
        load.await_more(4)
    assert load.failed == []
    assert {words(text) for text in load.answered} == {words(CLIP)}
    assert "cannot be written: No space left on device. Run this as root, with room on the disk." in refused(host, RENDER)
    said = refused(host, "hailo-whisper keys add visitor --file /etc/hailo/hailo-whisper.keys")
    assert "cannot be written: No space left on device. Run this as root, with room on the disk." in said
    said = refused(host, PULL)
    assert "MB are needed in /var/lib/hailo-whisper/models and 0 MB are free. Free some space" in said, said
    assert "0 MB free for /var/lib/hailo-whisper/models -> The disk is full: make room" in doctor(host)
    host.check_output(f"rm {SMALL}/fill")
    assert host.check_output(listed) == before
    assert "pulled tiny.en" in host.check_output(PULL)


@pytest.mark.usefixtures("small")
def test_a_disk_that_fills_up_while_a_model_comes_keeps_the_one_that_is_there(host: Host, service: Service) -> None:
    """There is room for the bytes, and none for a further file: a disk may be full in that way too, and a pull only finds it out on its way."""
    host.check_output(f"mount -o remount,nr_inodes=$(($(df --output=iused {SMALL} | tail --lines=1) + 4)) {SMALL}")
    said = refused(host, PULL)
    assert "the disk is full; what had arrived was removed again" in said, said
    assert words(service.transcribe()) == words(CLIP)
    host.check_output("hailo-whisper models verify tiny.en")
    host.check_output(f"mount -o remount,nr_inodes=0 {SMALL}")
    assert "pulled tiny.en" in host.check_output(PULL)

"""The power cut, in the middle of work, with what that may leave on the disk."""

import subprocess

from appliance import await_work
from load import Load
from testinfra.host import Host

from service import CLIP, PROJECT, Service, words

RENDERED = "/etc/xdg/hailo-whisper/hailo-whisper.json"


def test_a_machine_that_lost_its_power_serves_again_without_anybodys_hand(host: Host, name: str, service: Service) -> None:
    sum_before = host.file(RENDERED).sha256sum
    # A file system may forget the bytes that were written last, and keep the file's length; a pull that was under way has got half.
    host.check_output(f"size=$(stat --format=%s {RENDERED}) && truncate --size=0 {RENDERED} && truncate --size=$size {RENDERED}")
    host.check_output(
        "cd /var/lib/hailo-whisper/models && mkdir -p .partial/base/files && head --bytes=1M /dev/zero >.partial/base/files/model.bin"
    )
    # Nobody is there to say that the connection is gone: only a limit of the client's own ends its waiting.
    with Load(service, seconds=15, first=2) as load:
        await_work(service)
        subprocess.run(["podman", "kill", "--signal", "KILL", name], check=True, capture_output=True)
    assert load.failed, "those that were in flight"
    assert all("APIConnectionError" in failed or "APITimeoutError" in failed for failed in load.failed), load.failed
    assert {words(text) for text in load.answered} == {words(CLIP)}
    subprocess.run([PROJECT / "script/host", "up", name], check=True, capture_output=True)
    # It may have another address.
    Service(name).await_ready()
    assert host.file(RENDERED).sha256sum == sum_before, "made anew from the YAML, at boot"
    assert "pulled tiny.en" in host.check_output("hailo-whisper models pull tiny.en --force --source folder:/srv/models")
    assert not host.file("/var/lib/hailo-whisper/models/.partial").exists, "the next pull sweeps what was begun"

"""Files that are not what they were, as a bad disk or a power cut leaves them: told with the command that mends them, and gone on from by itself."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from appliance import UNIT, WORKER, await_reason, await_status, child_pid, command, doctor, main_pid
from testinfra.host import Host

from service import CLIP, Service, words

WEIGHTS = "/var/lib/hailo-whisper/models/tiny.en/model.bin"
RENDERED = "/etc/xdg/hailo-whisper/hailo-whisper.json"
FLIP = "import sys; file = open(sys.argv[1], 'r+b'); file.seek(40_000_000); byte = file.read(1)[0]; file.seek(-1, 1); file.write(bytes([byte ^ 16]))"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (f'python3 -c "{FLIP}" {WEIGHTS}', "is damaged: the sha256 of model.bin is "),
        (f"truncate --size=1000000 {WEIGHTS}", "is half downloaded: model.bin has 1000000 of 75537502 bytes"),
    ],
    ids=["flipped", "truncated"],
)
def test_a_damaged_model(host: Host, service: Service, damage: str, said: str) -> None:
    server = main_pid(host)
    host.check_output(damage)
    assert words(service.transcribe()) == words(CLIP), "what is loaded goes on"
    host.check_output("kill -KILL %s", str(child_pid(host, WORKER)))
    reason = await_reason(service, said)
    await_status(host, reason)
    with pytest.raises(httpx.HTTPStatusError) as caught:
        service.transcribe()
    assert (caught.value.response.status_code, "retry-after" in caught.value.response.headers) == (503, True)
    assert reason in caught.value.response.json()["error"]["message"]
    cure = command(reason)
    assert f"Run `{cure}`" in doctor(host)
    # The machine need not reach the model's publisher.
    assert "pulled tiny.en" in host.check_output(f"{cure} --source folder:/srv/models")
    service.await_ready()
    assert main_pid(host) == server


@pytest.fixture
def rendered(host: Host) -> Iterator[None]:
    host.check_output(f"cp {RENDERED} /root/kept.json")
    yield
    host.check_output(f"cmp /root/kept.json {RENDERED} || hailo-whisper config render")


@pytest.mark.usefixtures("rendered")
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (f"truncate --size=0 {RENDERED}", f"{RENDERED} is empty."),
        (f"truncate --size=900 {RENDERED}", f"{RENDERED} is not valid YAML: "),
    ],
    ids=["empty", "cut-off"],
)
def test_a_damaged_configuration(host: Host, service: Service, damage: str, said: str) -> None:
    host.check_output(damage)
    cure = "Run `hailo-whisper config render`, which makes it anew from /etc/hailo/hailo-whisper.yaml; the service goes on by itself then."
    # A service that runs goes on with what it has.
    server = main_pid(host)
    host.check_output(f"systemctl reload {UNIT}")
    await_status(host, "the changed configuration was not taken", said, cure)
    assert (words(service.transcribe()), main_pid(host)) == (words(CLIP), server)
    # One that starts does not begin, and says why; who asks meanwhile waits in the socket.
    host.check_output(f"systemctl --no-block restart {UNIT}")
    host.check_output(
        f"timeout 60 sh -c 'until systemctl show --property=SubState {UNIT} | grep --quiet auto-restart; do sleep 0.1; done'"
    )
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(Service(str(host.backend.name)).transcribe)
        journal = host.check_output(f"journalctl --unit={UNIT} --output=cat --lines=30 --no-pager")
        assert said in journal
        assert cure in journal
        seen = doctor(host)
        assert f"configuration-in-force {said}" in seen, seen
        assert f"-> {cure}" in seen
        assert "models pull" not in seen, "of the default model nobody wants to know that it is missing"
        assert f"changed {RENDERED}" in host.check_output(command(cure))
        assert words(waiting.result()) == words(CLIP)

"""The listening socket taken away."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from appliance import await_work, doctor
from load import CLIP as RECORDING
from load import client, repeated
from testinfra.host import Host

from service import CLIP, Service, words


def test_a_socket_that_is_closed_loses_no_request_and_the_doctor_opens_it(host: Host, service: Service) -> None:
    sound = ("long.wav", repeated(RECORDING, 2))
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(client(service).audio.transcriptions.create, file=sound, model="whisper-1")
        await_work(service)
        host.check_output("systemctl stop hailo-whisper.socket")
        assert words(asked.result().text).startswith(words(CLIP))
    with pytest.raises(httpx.ConnectError):
        service.client.get(service.url("/health"))
    cure = "systemctl enable --now hailo-whisper.socket hailo-whisper.service"
    said = doctor(host)
    assert f"nobody listens on 0.0.0.0 port 11437 -> `{cure}`" in said, said
    host.check_output(cure)
    service.await_ready()

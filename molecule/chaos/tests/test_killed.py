"""Each process of the service killed while requests are in flight, by the SDK as people use it: it asks again by itself, and nobody has to know of it."""

import pytest
from appliance import DECODER, UNIT, WORKER, child_pid, main_pid
from load import Load
from testinfra.host import Host

from service import CLIP, Service, words

KILL = {
    "decoders": f"kill -KILL $(pgrep --full '[h]{DECODER[1:]}')",
    "worker": f"kill -KILL $(pgrep --full '[h]{WORKER[1:]}')",
    "server": f"kill -KILL $(systemctl show --property=MainPID --value {UNIT})",
    "all": f"systemctl kill --signal=KILL {UNIT}",
}


@pytest.mark.parametrize("victim", KILL)
def test_a_kill_costs_nobody_an_answer(host: Host, service: Service, victim: str) -> None:
    server, worker = main_pid(host), child_pid(host, WORKER)
    with Load(service, retries=2, first=2) as load:
        host.check_output(KILL[victim])
        load.await_more(4)
    assert load.failed == []
    assert {words(text) for text in load.answered} == {words(CLIP)}
    assert (main_pid(host) == server) == (victim in ("decoders", "worker")), "the server outlives its children"
    # Without its parent it ends too.
    assert (child_pid(host, WORKER) == worker) == (victim == "decoders")

"""A Prometheus of Debian's, configured by the role `monitoring`, that watches a server of this tree and a gateway before it: what its rules see."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from gateways import Gateway, gateway
from polling import until
from serving import free_port, server_process

PROJECT = Path(__file__).resolve().parents[3]
# Of these nothing is seen while all is well, on any machine: tests/alerts.yml has made-up series for them.
SILENT = {
    "HailoWhisperNothingToScrape",
    "HailoWhisperStandIn",
    "HailoWhisperWrongModel",
    "HailoWhisperModelDrift",
    "HailoWhisperRefusing",
    "HailoWhisperHot",
}
# Nothing that this machine has is to decide.
NODE = {"HailoWhisperDisk", "HailoWhisperMemory", "HailoWhisperHot"}


def program(name: str) -> str:
    found = shutil.which(name)
    assert found, f"{name} is not there: script/test brings it (script/bootstrap)"
    return found


@contextlib.contextmanager
def running(folder: Path, *command: str) -> Iterator[None]:
    """A program, until the end of the block."""
    with (folder / f"{Path(command[0]).name}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def write(folder: Path, port: int, node: int, front: Gateway) -> None:
    """What the role writes for a fleet of one machine, which is this one, and the gateway before it."""
    kitchen = {
        "ansible_host": "127.0.0.1",
        "hailo_whisper_config": {"server": {"host": "0.0.0.0", "port": port}},
        "hailo_whisper_node_port": node,
    }
    tower = {"hailo_whisper_metrics_address": f"127.0.0.1:{front.statistics}"}
    inventory = {"hailo_whisper": {"hosts": {"kitchen": kitchen}}, "hailo_whisper_gateway": {"hosts": {"tower": tower}}}
    (folder / "hosts.yml").write_text(json.dumps(inventory))
    command = ["ansible-playbook", "--inventory", str(folder / "hosts.yml"), "playbooks/monitoring.yml"]
    done = subprocess.run(
        [*command, "--extra-vars", json.dumps({"hailo_whisper_monitoring_folder": str(folder)})],
        cwd=PROJECT,
        env=os.environ | {"ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def hasten(folder: Path) -> dict[str, str]:
    """Have the rules look at seconds where they look at minutes, and configure Prometheus with them. Gives their expressions."""
    rules = yaml.safe_load((folder / "rules.yml").read_text())
    every = [rule for group in rules["groups"] for rule in group["rules"]]
    for rule in every:
        rule["expr"] = re.sub(r"\[\d+m\]", "[8s]", rule["expr"])
        rule.pop("for", None)
    (folder / "rules.yml").write_text(yaml.safe_dump(rules))
    scrape = yaml.safe_load((folder / "scrape.yml").read_text())
    intervals = {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(scrape | {"global": intervals, "rule_files": ["rules.yml"]}))
    return {rule["alert"]: rule["expr"] for rule in every}


class Prometheus:
    """A Prometheus, asked by its API."""

    def __init__(self, port: int) -> None:
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples of an instant, or none as long as it does not answer."""
        try:
            reply = self._client.get("/api/v1/query", params={"query": expression})
        except httpx.TransportError:
            return []
        found: list[dict[str, Any]] = reply.json()["data"]["result"] if reply.status_code == 200 else []
        return found

    def firing(self) -> set[str]:
        """The names of the alerts that are on, but for those of the machine's own."""
        return {sample["metric"]["alertname"] for sample in self.query('ALERTS{alertstate="firing"}')} - NODE

    def alert(self, name: str) -> dict[str, Any]:
        """One of them, as its API tells of it."""
        alerts: list[dict[str, Any]] = self._client.get("/api/v1/alerts").json()["data"]["alerts"]
        return next(alert for alert in alerts if alert["labels"]["alertname"] == name)


@pytest.fixture
def stack() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def exporter(tmp_path: Path) -> Iterator[int]:
    """The port of a node exporter."""
    port = free_port()
    with running(tmp_path, program("prometheus-node-exporter"), f"--web.listen-address=127.0.0.1:{port}"):
        yield port


def test_the_rules_see_what_a_server_does(tmp_path: Path, model_folder: Path, exporter: int, stack: contextlib.ExitStack) -> None:
    folder, port, own = tmp_path / "prometheus", free_port(), free_port()
    folder.mkdir()
    # As the role reads it when there is TLS.
    known = {"__gateway_ends": {"stdout": "notAfter=2099-01-01 00:00:00Z"}}
    machines = {"kitchen": {"hailo_whisper_gateway_address": f"127.0.0.1:{port}"}}
    front = stack.enter_context(gateway(tmp_path / "gateway", machines, {"inter 2s": "inter 200ms"}, **known))
    write(folder, port, exporter, front)
    expressions = hasten(folder)
    away = model_folder.rename(tmp_path / "away")
    command = [
        program("prometheus"),
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=data",
        f"--web.listen-address=127.0.0.1:{own}",
    ]
    with server_process(tmp_path, model_folder, port=port) as server, running(folder, *command):
        prometheus = Prometheus(own)

        # Without a model.
        def refused() -> bool:
            return prometheus.firing() == {
                "HailoWhisperNotReady",
                "HailoWhisperModelFailed",
                "HailoWhisperErrors",
                "HailoWhisperGatewayNobody",
                "HailoWhisperGatewayMachine",
                "HailoWhisperGatewayErrors",
            }

        until(lambda: _answers(server.client))
        until(lambda: server.transcribe().status_code == front.client.get("/v1/models").status_code == 503 and refused())
        alert = prometheus.alert("HailoWhisperNotReady")
        assert alert["labels"]["instance"] == "kitchen"
        assert alert["annotations"]["summary"] == "kitchen is not ready."
        assert prometheus.query("hailo_whisper_model_info") == []

        # With one.
        away.rename(model_folder)
        until(server.ready)
        until(lambda: front.ready() == {"kitchen"})
        until(
            lambda: (
                server.transcribe().status_code == front.client.get("/v1/models").status_code == 200 and not prometheus.firing()
            )
        )
        (told,) = prometheus.query("hailo_whisper_model_info")
        assert told["metric"] == {
            "__name__": "hailo_whisper_model_info",
            "job": "hailo-whisper",
            "instance": "kitchen",
            "model": "base",
            "answers": "base",
            "stand_in": "false",
            "engine": "scripted_engine",
        }
        assert server.worker
        os.kill(server.worker, signal.SIGKILL)
        until(lambda: prometheus.query('hailo_whisper_worker_restarts_total{reason="died"}'))

        # Every expression without its threshold finds something, so that it would fire if that were beyond.
        def blind() -> set[str]:
            found = {
                name: re.sub(r"\s*(==|>|<) [\d.]+\s*((and|unless) .*)?$", "", text, flags=re.DOTALL)
                for name, text in expressions.items()
            }
            assert server.transcribe()
            assert front.client.get("/v1/models")
            return {name for name, text in found.items() if not prometheus.query(text)}

        # Not every machine has a thermometer.
        until(lambda: blind() | {"HailoWhisperHot"} == SILENT)
        until(lambda: not prometheus.firing())

        # Taken out at the gateway, which has nobody else.
        assert front.command("drain", "kitchen").returncode == 0
        until(lambda: prometheus.firing() == {"HailoWhisperGatewayDrained", "HailoWhisperGatewayNobody"})
        assert front.command("ready", "kitchen").returncode == 0
        until(lambda: not prometheus.firing())
        (ends,) = prometheus.query("hailo_whisper_gateway_certificate_not_after_seconds")
        assert (ends["metric"]["instance"], ends["value"][1]) == ("tower", "4070908800")

        # The inventory has changed, and the machine has not.
        services = json.loads((folder / "services.json").read_text())
        services[0]["labels"]["wanted_model"] = "small"
        (folder / "services.json").write_text(json.dumps(services))
        until(lambda: prometheus.firing() == {"HailoWhisperWrongModel"})

        server.process.terminate()
        front.process.terminate()
        until(lambda: prometheus.firing() == {"HailoWhisperDown", "HailoWhisperGatewayDown"})


def _answers(client: httpx.Client) -> bool:
    try:
        client.get("/health")
    except httpx.TransportError:
        return False
    return True

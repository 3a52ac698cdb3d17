"""What the role `monitoring` writes, tried on this machine, and what promtool says of it."""

import json
import re
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_run import HERE, ansible_playbook, changed

Playbook = Callable[..., "subprocess.CompletedProcess[str]"]

HOSTS: dict[str, dict[str, Any]] = {
    "kitchen": {"ansible_host": "192.0.2.10", "hailo_whisper_config": {"server": {"host": "0.0.0.0"}}},
    "office": {
        "ansible_host": "2001:db8::1",
        "hailo_whisper_model": "small",
        "hailo_whisper_config": {"server": {"host": "::", "port": 8080}, "model": None},
        "hailo_whisper_metrics_labels": {"site": "north"},
        "hailo_whisper_node_port": 0,
    },
    "attic": {"hailo_whisper_config": {"model": {"name": "tiny"}}},
    "cellar": {"hailo_whisper_metrics_address": "gateway.example:443", "hailo_whisper_metrics_scheme": "https"},
}

# The gateway's own, beside HAProxy's.
CERTIFICATE = "hailo_whisper_gateway_certificate_not_after_seconds"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "written"


@pytest.fixture
def playbook(tmp_path: Path, folder: Path) -> Playbook:
    def run(
        *arguments: str, hosts: dict[str, Any] = HOSTS, gateways: dict[str, Any] | None = None, **variables: Any
    ) -> "subprocess.CompletedProcess[str]":
        inventory: dict[str, Any] = {"hailo_whisper": {"hosts": hosts, "vars": {"ansible_connection": "ssh"}}}
        if gateways:
            inventory["hailo_whisper_gateway"] = {"hosts": gateways}
        (tmp_path / "hosts.yml").write_text(json.dumps(inventory))
        (tmp_path / "variables.json").write_text(json.dumps({"hailo_whisper_monitoring_folder": str(folder)} | variables))
        inventory_file, variables_file = tmp_path / "hosts.yml", f"@{tmp_path / 'variables.json'}"
        more = ("playbooks/monitoring.yml", *arguments, "--extra-vars", variables_file)
        return ansible_playbook("--inventory", inventory_file, *more, one_line=True)

    return run


def promtool(*arguments: str) -> str:
    program = shutil.which("promtool")
    assert program, "promtool is not there: script/test brings it (script/bootstrap)"
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def targets(path: Path) -> dict[str, tuple[str, dict[str, str]]]:
    """The address and the other labels of each instance."""
    return {
        group["labels"]["instance"]: (
            group["targets"][0],
            {name: text for name, text in group["labels"].items() if name != "instance"},
        )
        for group in json.loads(path.read_text(encoding="utf-8"))
    }


def test_the_targets_are_those_of_the_inventory(playbook: Playbook, folder: Path) -> None:
    assert changed(playbook("--check")) > 0
    assert not folder.exists()
    done = playbook()
    assert changed(done) > 0
    assert targets(folder / "services.json") == {
        "kitchen": ("192.0.2.10:11437", {"wanted_model": "base"}),
        "office": ("[2001:db8::1]:8080", {"wanted_model": "small", "site": "north"}),
        "cellar": ("gateway.example:443", {"wanted_model": "base", "__scheme__": "https"}),
    }
    assert targets(folder / "nodes.json") == {
        name: (address, {})
        for name, address in (
            ("kitchen", "192.0.2.10:9100"),
            ("attic", "attic:9100"),
            ("cellar", "cellar:9100"),
        )
    }
    assert "attic: only the machine itself reaches the service there" in done.stdout
    for again in (playbook(), playbook("--check")):
        assert changed(again) == 0


def test_the_gateways_are_targets_too(playbook: Playbook, folder: Path) -> None:
    gateways = {
        "tower": {
            "ansible_host": "192.0.2.20",
            "hailo_whisper_gateway_statistics": "*:8405",
            "hailo_whisper_metrics_labels": {"site": "north"},
        },
        "mill": {"ansible_host": "mill.example", "hailo_whisper_gateway_statistics": "[2001:db8::2]:9101"},
        "barn": {"hailo_whisper_metrics_address": "barn.example:80"},
        "silo": {"hailo_whisper_gateway_statistics": ""},
        "shed": {},
        # Prometheus itself runs there.
        "localhost": {"ansible_connection": "local"},
    }
    done = playbook(gateways=gateways)
    assert changed(done) > 0
    assert targets(folder / "gateways.json") == {
        "tower": ("192.0.2.20:8405", {"site": "north"}),
        "mill": ("[2001:db8::2]:9101", {}),
        "barn": ("barn.example:80", {}),
        "localhost": ("127.0.0.1:8405", {}),
    }
    assert "shed: only the gateway itself reaches its statistics, so Prometheus will not ask for them." in done.stdout
    assert changed(playbook()) > 0
    assert targets(folder / "gateways.json") == {}


def test_a_configuration_that_uses_it_is_one(playbook: Playbook, folder: Path, tmp_path: Path) -> None:
    playbook(hailo_whisper_monitoring_key="sk-metrics", hailo_whisper_monitoring_ca_file="/etc/ssl/certs/ca-certificates.crt")
    scrape = load(folder / "scrape.yml")
    (folder / "prometheus.yml").write_text(json.dumps(scrape | {"rule_files": ["rules.yml"]}))
    said = promtool("check", "config", str(folder / "prometheus.yml"))
    assert "24 rules found" in said
    service, node, gateway, certificate = scrape["scrape_configs"]
    assert service["authorization"] == {"credentials_file": "key"}
    # The others ask for none, and need not know it.
    assert not [job for job in (node, gateway, certificate) if "authorization" in job]
    assert service["tls_config"] == {"ca_file": "/etc/ssl/certs/ca-certificates.crt"}
    assert (folder / "key").read_text() == "sk-metrics"
    assert stat.S_IMODE((folder / "key").stat().st_mode) == 0o640
    assert changed(playbook()) > 0
    assert not (folder / "key").exists()
    assert "authorization" not in load(folder / "scrape.yml")["scrape_configs"][0]


def test_the_key_is_shown_nowhere(playbook: Playbook) -> None:
    done = playbook("--diff", "-vvv", hailo_whisper_monitoring_key="sk-a-secret-one")
    assert changed(done) > 0
    # What Ansible was called with is what the test itself has put there.
    assert "sk-a-secret-one" not in done.stdout + done.stderr


REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "nobody": ({"hosts": {}}, "no host in the group hailo_whisper"),
    "keyed": (
        {"hosts": {"kitchen": {"hailo_whisper_config": {"server": {"host": "0.0.0.0"}, "access": {"metrics": "keyed"}}}}},
        "kitchen want a key for /metrics (access.metrics is keyed). Give one that they know as hailo_whisper_monitoring_key",
    ),
    "type": ({"monitoring_alertmanagers": {"not": "a list"}}, "monitoring_alertmanagers"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusal(playbook: Playbook, folder: Path, case: str) -> None:
    variables, sentence = REFUSALS[case]
    done = playbook(**variables)
    assert done.returncode != 0, done.stdout
    assert sentence in done.stdout + done.stderr
    assert not folder.exists()


def test_the_configuration_of_debians_prometheus(project: Path, tmp_path: Path, playbook: Playbook, folder: Path) -> None:
    """The template that is written when Prometheus is installed, which is not done on this machine."""
    playbook()
    variables = {
        "monitoring_folder": str(folder),
        "monitoring_interval": "7s",
        "monitoring_alertmanagers": ["alerts:9093"],
        "monitoring_key": "",
        "monitoring_ca_file": "",
    }
    to = tmp_path / "prometheus.yml"
    template = {"src": str(project / "roles/monitoring/templates/prometheus.yml.j2"), "dest": str(to), "mode": "0600"}
    play = {"hosts": "all", "gather_facts": False, "tasks": [{"ansible.builtin.template": template}]}
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    done = ansible_playbook(*HERE, tmp_path / "play.yml", "--extra-vars", json.dumps(variables))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "24 rules found" in promtool("check", "config", str(to))
    written = load(to)
    assert written["global"] == {"scrape_interval": "7s", "evaluation_interval": "7s"}
    assert written["alerting"]["alertmanagers"] == [{"static_configs": [{"targets": ["alerts:9093"]}]}]
    relative = json.dumps(written["scrape_configs"]).replace(f"{folder}/", "")
    assert json.loads(relative) == load(folder / "scrape.yml")["scrape_configs"]


def alerts(project: Path) -> dict[str, dict[str, Any]]:
    groups = load(project / "roles/monitoring/files/rules.yml")["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def test_every_alert_does_what_it_should(project: Path) -> None:
    path = project / "tests/alerts.yml"
    promtool("test", "rules", str(path))
    fired = set(re.findall(r'labels: \'ALERTS{alertname="(\w+)", alertstate="firing"', path.read_text()))
    assert fired == set(alerts(project))


def test_the_manual_has_every_alert(project: Path) -> None:
    manual = (project / "docs/operations.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(HailoWhisper\w+)` \|", manual, re.MULTILINE) == list(alerts(project))


def test_every_alert_says_what_is_wrong_and_what_to_do(project: Path) -> None:
    for name, rule in alerts(project).items():
        assert rule["labels"]["severity"] in ("critical", "warning"), name
        assert all(rule["annotations"][part].endswith(".") for part in ("summary", "description")), name


def expressions(project: Path) -> list[str]:
    dashboard = json.loads((project / "roles/monitoring/files/dashboard.json").read_text())
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


def test_every_expression_of_the_dashboard_is_one(project: Path, tmp_path: Path) -> None:
    filled = [text.replace("$__rate_interval", "5m").replace("$instance", ".*") for text in expressions(project)]
    assert not [text for text in filled if "$" in text]
    rules = [{"record": f"panel:{number}", "expr": text} for number, text in enumerate(filled)]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", str(tmp_path / "rules.yml"))


def test_the_dashboard_hangs_together(project: Path) -> None:
    dashboard = json.loads((project / "roles/monitoring/files/dashboard.json").read_text())
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    assert {"datasource", "instance"} == {variable["name"] for variable in dashboard["templating"]["list"]}
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, f"{panel['title']} lies over another"
        assert max(x for x, _ in cells) < 24, panel["title"]
        taken |= cells
        assert all(target["datasource"] == {"type": "prometheus", "uid": "${datasource}"} for target in panel["targets"])


def test_every_metric_that_is_asked_for_is_one_that_the_server_has(project: Path) -> None:
    """The rules and the dashboard know the names of the manual's table, which is compared with the server's own."""
    manual = (project / "docs/operations.md").read_text(encoding="utf-8")
    known = set(re.findall(r"^\| `(hailo_whisper_\w+)` \| \w+ \|", manual, re.MULTILINE))
    asked = [rule["expr"] for rule in alerts(project).values()] + expressions(project)
    names = {name for text in asked for name in re.findall(r"\bhailo_whisper_\w+", text)} - {CERTIFICATE}
    assert len(names) > 10
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in names} <= known

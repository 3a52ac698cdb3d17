"""The filters `monitoring_targets` and `monitoring_gateways`: what Prometheus is to ask, out of the inventory."""

from collections.abc import Iterable, Mapping
from typing import Any

PORT = 11437
NODE_PORT = 9100
STATISTICS = "127.0.0.1:8405"
"""Where a gateway tells of itself, as the role `gateway` has it."""
HERE = ("127.", "localhost", "::1", "/")
"""How an address begins that only the machine itself reaches."""
EVERYWHERE = ("", "*", "0.0.0.0", "::")  # noqa: S104
"""What listens on every address of its machine."""


def targets(names: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The lists of Prometheus' file_sd for the services and for the node exporters of these hosts.

    `left_out` names the hosts whose service nobody else reaches, and `keyed` those whose /metrics wants a key.
    """
    services, nodes, left_out, keyed = [], [], [], []
    for name in names:
        variables = hostvars[name]
        config = _section(variables, "hailo_whisper_config")
        server, model, access = (_section(config, part) for part in ("server", "model", "access"))
        host = str(variables.get("ansible_host") or name)
        labels = {"instance": name} | _labels(variables)
        node_port = int(variables.get("hailo_whisper_node_port", NODE_PORT))
        if node_port:
            nodes.append({"targets": [_address(host, node_port)], "labels": labels})
        address = variables.get("hailo_whisper_metrics_address")
        if not address and str(server.get("host", HERE[0])).startswith(HERE):
            left_out.append(name)
            continue
        if access.get("metrics") == "keyed":
            keyed.append(name)
        wanted = {"wanted_model": str(model.get("name") or variables.get("hailo_whisper_model") or "base")}
        scheme = variables.get("hailo_whisper_metrics_scheme")
        known = labels | wanted | ({"__scheme__": str(scheme)} if scheme else {})
        services.append({"targets": [str(address or _address(host, int(server.get("port", PORT))))], "labels": known})
    return {"services": services, "nodes": nodes, "left_out": left_out, "keyed": keyed}


def gateways(names: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]], here: str) -> dict[str, list[Any]]:
    """The list of Prometheus' file_sd for the gateways. `here` is the host that Prometheus runs on, for which its own are within reach.

    `left_out` names those that nobody else reaches; one whose statistics were turned off is left out without a word.
    """
    found, left_out = [], []
    for name in names:
        variables = hostvars[name]
        listening = str(variables.get("hailo_whisper_gateway_statistics", STATISTICS))
        if not listening:
            continue
        bound, _, port = listening.rpartition(":")
        bound = bound.strip("[]")
        address = variables.get("hailo_whisper_metrics_address")
        if not address and bound.startswith(HERE) and name != here:
            left_out.append(name)
            continue
        host = str(variables.get("ansible_host") or name) if bound in EVERYWHERE else bound
        labels = {"instance": name} | _labels(variables)
        found.append({"targets": [str(address or _address(host, int(port)))], "labels": labels})
    return {"gateways": found, "left_out": left_out}


def _labels(variables: Mapping[str, Any]) -> dict[str, str]:
    """The labels that the inventory gives all series of a host."""
    return {key: str(value) for key, value in _section(variables, "hailo_whisper_metrics_labels").items()}


def _section(variables: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A mapping of that name; a section without settings is None in YAML."""
    found = variables.get(name)
    return found if isinstance(found, Mapping) else {}


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Any]:
        """The filters by name."""
        return {"monitoring_targets": targets, "monitoring_gateways": gateways}

"""The filter `gateway_nodes`: the appliances behind a gateway, and what of the inventory stands in its way."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

PORT = 11437
HERE = ("127.", "localhost", "::1", "/")
"""How an address begins that only the machine itself reaches."""
WEIGHTS = range(1, 257)
LIMITS = {"deadline_seconds": 60.0, "deadline_factor": 4.0, "duration_seconds": 14400, "stall_seconds": 20.0}
"""Defaults of the service's settings that the gateway's patience follows from."""
GRACE = 60
"""Seconds that the gateway waits beyond an appliance, so that it is the appliance that says what took too long."""


def nodes(names: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The nodes by name, with the patience in seconds that they ask of the gateway, and the `mistakes`, a sentence each."""
    found: list[dict[str, Any]] = []
    mistakes: list[str] = []
    answer, silence = 0.0, 0.0
    for name in names:
        if name not in hostvars:
            mistakes.append(f"hailo_whisper_gateway_nodes names {name}, and the inventory has no host of that name.")
            continue
        variables = hostvars[name]
        config = _section(variables, "hailo_whisper_config")
        server = _section(config, "server")
        given = variables.get("hailo_whisper_gateway_address")
        if not given and str(server.get("host", HERE[0])).startswith(HERE):
            mistakes.append(
                f"The service of {name} is there for the machine itself alone. Set server.host in its hailo_whisper_config, to 0.0.0.0 "
                "or to the address that the gateway reaches, or hailo_whisper_gateway_address to where it can be asked."
            )
        weight = variables.get("hailo_whisper_gateway_weight", 100)
        if not str(weight).isdigit() or int(weight) not in WEIGHTS:
            mistakes.append(f"hailo_whisper_gateway_weight of {name} is {weight}. Set a number from 1 to 256.")
        host = str(variables.get("ansible_host") or name)
        address = str(given or _address(host, int(server.get("port", PORT))))
        if not re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]+", address):
            mistakes.append(f"hailo_whisper_gateway_address of {name} is {address}. Write it as host:port.")
        limits = LIMITS | {key: value for key, value in _section(config, "limits").items() if value is not None}
        answer = max(answer, limits["deadline_seconds"] + limits["deadline_factor"] * limits["duration_seconds"])
        silence = max(silence, float(limits["stall_seconds"]))
        found.append({"name": name, "server": _plain(name), "address": address, "weight": weight})
    mistakes += _twice(found, "address", "have the address") + _twice(found, "server", "would have the name")
    mistakes += _keys({node["name"]: hostvars[node["name"]] for node in found})
    return {"nodes": found, "answer": int(answer) + GRACE, "silence": int(silence) + GRACE, "mistakes": mistakes}


def _twice(found: list[dict[str, Any]], field: str, what: str) -> list[str]:
    """A sentence for each value that more than one node has."""
    owners: dict[str, list[str]] = {}
    for node in found:
        owners.setdefault(node[field], []).append(node["name"])
    return [f"{' and '.join(names)} {what} {value} both. Give each its own." for value, names in owners.items() if len(names) > 1]


def _keys(hosts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What is to be said of the keys, without a key: a client knows one, and does not know who will answer."""
    if len(hosts) < 2:
        return []
    asking = {name for name, variables in hosts.items() if _asks(variables)}
    if not asking:
        return []
    if len(asking) < len(hosts):
        return [
            f"{', '.join(sorted(asking))} ask for an API key, and {', '.join(sorted(set(hosts) - asking))} do not (access.keys is null). "
            "Behind one gateway, all of them do or none."
        ]
    known = [_section(variables, "hailo_whisper_keys") for variables in hosts.values()]
    if not all(known) or any(dict(keys) != dict(known[0]) for keys in known):
        return [
            f"{', '.join(hosts)} do not have the same API keys, so that a client would be refused by some of them. Set hailo_whisper_keys for "
            "the group hailo_whisper, from a vault or as sums (roles/config/README.md)."
        ]
    return []


def _asks(variables: Mapping[str, Any]) -> bool:
    """Whether the appliance wants a key, by the rules of the role `config`."""
    access = _section(_section(variables, "hailo_whisper_config"), "access")
    if "keys" in access:
        return access["keys"] is not None
    return bool(variables.get("hailo_whisper_keys")) or not access.get("insecure")


def _section(variables: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A mapping of that name; a section without settings is None in YAML."""
    found = variables.get(name)
    return found if isinstance(found, Mapping) else {}


def _plain(name: str) -> str:
    """A name as HAProxy takes it."""
    return re.sub(r"[^A-Za-z0-9._:-]", "-", name)


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Any]:
        """The filters by name."""
        return {"gateway_nodes": nodes}

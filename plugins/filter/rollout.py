"""Filters of playbooks/rollout.yml and rollback.yml: who goes first, who goes together, and where the way back comes from."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

BATCHES = [1, "10%", "25%"]
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""Debian's names."""
BY_HAND = ("drain", "maint")
FAREWELL = re.compile(r"(Shared connection|Connection) to \S+ closed\.$")
SHOWN = 5
"""Hosts of a list of them."""
LONGEST = 500
"""Characters of a reason."""


def chosen(
    hosts: Sequence[str], groups: Mapping[str, Sequence[str]], wanted: Any, everybody: Sequence[str]
) -> dict[str, list[str]]:
    """The canaries among the hosts of a play that can be reached: the first so many, or those of the names of hosts and groups.

    `away` are those of them among `everybody`, the hosts that the play is for, which cannot be reached. `unknown` are names of neither host nor group; a host
    that --limit leaves out is known.
    """
    if str(wanted).isdigit():
        return {"hosts": [*hosts][: int(wanted)], "away": [], "unknown": []}
    names = [wanted] if isinstance(wanted, str) else [*wanted]
    meant = {host for name in names for host in groups.get(name, [name])}
    return {
        "hosts": [host for host in hosts if host in meant],
        "away": [host for host in everybody if host in meant and host not in hosts],
        "unknown": [name for name in names if name not in groups and name not in groups["hailo_whisper"]],
    }


def hosts(names: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Those whose turn is still to come, canaries first; for a play's `hosts`, which may not be empty.

    While tasks are only listed nobody has `hostvars`, and everybody is meant.
    """
    if not hostvars:
        return [*names] or ["all:!all"]
    coming = [name for name in names if hostvars[name].get("rollout_outcome") == "untouched"]
    first = [name for name in coming if hostvars[name].get("rollout_canary")]
    return first + [name for name in coming if name not in first] or ["all:!all"]


def batches(names: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]]) -> list[Any]:
    """How many of them at a time: the canaries, and then as the inventory says."""
    coming = [name for name in hosts(names, hostvars) if name in (hostvars or {})]
    canaries = sum(bool(hostvars[name].get("rollout_canary")) for name in coming)
    given = next(
        (hostvars[name]["hailo_whisper_rollout_serial"] for name in coming if "hailo_whisper_rollout_serial" in hostvars[name]),
        BATCHES,
    )
    rest = [given] if isinstance(given, int | str) else [*given]
    return ([canaries] if canaries else []) + rest


def gateways(names: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]], host: str) -> list[str]:
    """The gateways behind which a host is."""
    return [name for name in names if host in (hostvars[name].get("hailo_whisper_gateway_nodes") or [host])]


def drainable(asked: Iterable[Mapping[str, Any]], host: str, ours: Sequence[str]) -> list[str]:
    """The gateways at which it may be drained and put back: not those where somebody did so by hand, unless it was a roll-out that was cut off (`ours`).

    One that did not answer is left out.
    """
    found = []
    for each in asked:
        if _is_silent(each):
            continue
        state = _states(each).get(plain(host))
        if state and (state not in BY_HAND or each["item"] in ours):
            found.append(each["item"])
    return found


def strange(asked: Iterable[Mapping[str, Any]], host: str) -> dict[str, str]:
    """The gateways that do not know a host, which is new in the inventory, or has another name there: each with a sentence that says so."""
    found = {}
    for each in asked:
        if not _is_silent(each) and plain(host) not in _states(each):
            found[each["item"]] = f"The gateway {each['item']} does not know {host} (it has {_some(sorted(_states(each)))})."
    return found


def silent(asked: Iterable[Mapping[str, Any]]) -> list[str]:
    """The gateways that could not be asked, or did not do what they were asked."""
    return [each["item"] for each in asked if _is_silent(each)]


def _states(asked: Mapping[str, Any]) -> dict[str, str]:
    return {appliance["name"]: appliance["state"] for appliance in json.loads(asked["stdout"])}


def _some(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    return f"{', '.join(names[:SHOWN]) or 'none'}{f' and {more} more' if more > 0 else ''}"


def _is_silent(asked: Mapping[str, Any]) -> bool:
    return bool(asked.get("rc", 1))


def plain(name: str) -> str:
    """A host's name as HAProxy has it."""
    return re.sub(r"[^A-Za-z0-9._:-]", "-", name)


def leaving(names: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """By the version that hosts are to leave, which hosts these are, in words."""
    found: dict[str, list[str]] = {}
    for name in names:
        if hostvars[name].get("rollout_outcome") == "untouched":
            found.setdefault(hostvars[name].get("rollout_left") or "", []).append(name)
    return {version: f"{_some(hosts)} to {version or 'none'}" for version, hosts in sorted(found.items())}


def packages(lacking: Mapping[str, str], folder: str, machine: str) -> dict[str, list[str]]:
    """The files of these packages in a folder or a repository on the controller, and the `missing` ones that are not there."""
    files, missing = [], []
    for name, version in lacking.items():
        pattern = f"{name}_{version}_{ARCHITECTURES.get(machine, machine)}.deb"
        found = sorted(str(path) for path in Path(folder).rglob(pattern)) if folder else []
        if found:
            files.append(found[0])
        else:
            missing.append(pattern)
    return {"files": files, "missing": missing}


def reason(result: Mapping[str, Any], task: str = "") -> str:
    """Why a task has failed, in its own words and on one line."""
    failed = next((item for item in result.get("results") or [] if item.get("failed") or item.get("unreachable")), result)
    told = str(failed.get("msg") or "")
    # A script over ssh has a terminal: what it says in anger stands in its output, and ssh alone speaks in the other.
    said = next((text for text in (own(failed.get("stderr")), own(failed.get("stdout"))) if text), "")
    text = said if said and told.startswith("non-zero return code") else " ".join(told.split())
    text = text or "it does not say why"
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    return f"{task}: {text}" if task else text


def own(text: Any) -> str:
    """What a program has said, on one line, without what ssh adds."""
    return " ".join(" ".join(line for line in str(text or "").splitlines() if not FAREWELL.match(line.strip())).split())


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Any]:
        """The filters by name."""
        return {
            "rollout_batches": batches,
            "rollout_chosen": chosen,
            "rollout_drainable": drainable,
            "rollout_gateways": gateways,
            "rollout_hosts": hosts,
            "rollout_leaving": leaving,
            "rollout_packages": packages,
            "rollout_reason": reason,
            "rollout_silent": silent,
            "rollout_strange": strange,
        }

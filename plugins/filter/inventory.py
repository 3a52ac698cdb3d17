"""The filter `inventory_mistakes`: what an inventory says that cannot be meant, as sentences that say what to do."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

PREFIX = "hailo_whisper_"
# Where a variable of the inventory is read. The code is the list: what nobody reads there is a misspelling, or left over from another version.
READERS = (
    *(f"roles/*/{part}/*" for part in ("defaults", "vars", "tasks", "templates")),
    "playbooks/*.yml",
    "plugins/filter/*.py",
)
COMMENT = re.compile(r"^\s*#.*$", re.MULTILINE)
NAME = re.compile(rf"\b{PREFIX}\w+")
NEAR = 0.6


def known(project: str) -> set[str]:
    """The variables of the inventory that the roles, the playbooks and the filters of this tree read."""
    texts = (path.read_text(encoding="utf-8") for pattern in READERS for path in Path(project).glob(pattern))
    return {name for text in texts for name in NAME.findall(COMMENT.sub("", text))}


def mistakes(
    hosts: Iterable[str],
    hostvars: Mapping[str, Mapping[str, Any]],
    groups: Mapping[str, Sequence[str]],
    accelerators: Sequence[str],
    project: str,
) -> list[str]:
    """A sentence for each mistake, with the hosts that it is made for.

    `accelerators` are the groups of which a host may be in one. No variable's value is looked at, so that a key is neither read nor shown.
    """
    names = [*hosts]
    readable = known(project)
    strange: dict[str, list[str]] = {}
    for host in names:
        for name in hostvars[host]:
            if name.startswith(PREFIX) and name not in readable:
                strange.setdefault(name, []).append(host)
    found = [
        f"Nothing reads the variable {name} of {_some(of)}.{_nearest(name, readable)}" for name, of in sorted(strange.items())
    ]
    torn: dict[tuple[str, ...], list[str]] = {}
    for host in names:
        inside = tuple(group for group in accelerators if host in groups.get(group, ()))
        if len(inside) > 1:
            torn.setdefault(inside, []).append(host)
    for inside, of in torn.items():
        found.append(_torn(inside, of))
    return found


def _torn(inside: Sequence[str], hosts: Sequence[str]) -> str:
    """What is wrong with hosts that are in more than one group of an accelerator."""
    names = " and ".join(inside)
    if len(hosts) == 1:
        return f"{hosts[0]} is in the groups {names}, and transcribes on one of these. Take it out of the others."
    return f"{_some(hosts)} are in the groups {names}, and each transcribes on one of these. Take them out of the others."


def _nearest(name: str, readable: Iterable[str]) -> str:
    """What may have been meant. The prefix, which all of them share, would make them look alike."""
    words = [word.removeprefix(PREFIX) for word in readable]
    near = difflib.get_close_matches(name.removeprefix(PREFIX), words, n=1, cutoff=NEAR)
    if near:
        return f" Did you mean {PREFIX}{near[0]}?"
    return f" Take it out, or give it a name without {PREFIX} if it is your own."


def _some(hosts: Sequence[str]) -> str:
    """The hosts, but no more than can be read."""
    shown = ", ".join(hosts[:3])
    return f"{shown} and {len(hosts) - 3} more" if len(hosts) > 3 else shown


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Any]:
        """The filters by name."""
        return {"inventory_mistakes": mistakes}

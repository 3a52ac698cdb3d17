"""Filters of the bundle: `bundle_needs`, what the hosts of an inventory need, and `bundle_portion`, what it has for one system."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleFilterError

SUITE, ARCH, MODEL = "bookworm", "amd64", "base"
# In an index of apt's.
TIME = "%a, %d %b %Y %H:%M:%S"


def needs(hosts: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """The releases of Debian, the architectures and the models of these hosts, as their variables have them.

    The hosts themselves are not asked: where a bundle is made, they cannot be reached.
    """
    suites, arches, models = set(), set(), set()
    for host in hosts:
        variables = hostvars[host]
        suites.add(str(variables.get("hailo_whisper_bundle_suite") or SUITE))
        arches.add(str(variables.get("hailo_whisper_bundle_arch") or ARCH))
        models.update(_models(variables))
    return {"suites": sorted(suites), "arches": sorted(arches), "models": sorted(models)}


def _models(variables: Mapping[str, Any]) -> list[str]:
    """Those that the role models would have on the host, and those that are named for the bundle besides."""
    more = [str(name) for name in variables.get("hailo_whisper_bundle_models") or []]
    if named := variables.get("hailo_whisper_models"):
        return [*map(str, named), *more]
    config = _section(variables, "hailo_whisper_config")
    model, offered = _section(config, "model"), _section(config, "models").get("offered") or []
    own = [] if model.get("path") else [model.get("name") or variables.get("hailo_whisper_model") or MODEL]
    return [*map(str, own), *map(str, offered), *more]


def _section(variables: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A mapping of that name; a section without settings is None in YAML."""
    found = variables.get(name)
    return found if isinstance(found, Mapping) else {}


def portion(bundle: str, suite: str, arch: str) -> dict[str, Any]:
    """Of what the bundle has for a system: the `bytes` of its packages, the `version` of hailo-whisper, and when it was `signed`.

    That is in seconds since 1970. Raises AnsibleFilterError when the bundle is not whole.
    """
    release = Path(bundle) / "repository/dists" / suite
    try:
        index = (release / f"main/binary-{arch}/Packages").read_text(encoding="utf-8")
        made = re.search(r"^Date: (.+) UTC$", (release / "InRelease").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError as error:
        raise AnsibleFilterError(
            f"{bundle} is not a whole bundle ({error}). Unpack the archive again, and run ./deploy --verify there."
        ) from error
    version = re.search(r"^Package: hailo-whisper\n(?:.+\n)*?Version: (\S+)$", index, re.MULTILINE)
    return {
        "bytes": sum(map(int, re.findall(r"^Size: ([0-9]+)$", index, re.MULTILINE))),
        "version": version[1] if version else "",
        "signed": int(datetime.strptime(made[1], TIME).replace(tzinfo=UTC).timestamp()) if made else 0,
    }


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Any]:
        """The filters by name."""
        return {"bundle_needs": needs, "bundle_portion": portion}

"""What a bundle has in it, by the path there."""

import json
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import hailo_whisper
from hailo_whisper.failure import Failure
from hailo_whisper.models.store import Store

from . import Refused

PROJECT = Path(__file__).resolve().parents[2]
# Of the project, what the playbooks and whoever reads about them need; and not what builds and tests it.
OF_THE_PROJECT = (
    "ansible.cfg playbooks roles plugins inventory packaging/systemd packaging/udev packaging/facts packaging/man packaging/completion "
    "packaging/sysusers.d packaging/tmpfiles.d app/config app/requirements app/src script/wheels docs README.md CHANGELOG.md LICENSE"
).split()
# Of the repository's folder, what apt needs.
OF_THE_REPOSITORY = ("dists", "pool", "hailo-whisper.asc")
ABOUT = "bundle.json"
Members = dict[str, Path | bytes]


@dataclass(frozen=True)
class Parts:
    """Where the parts lie that were made before: `systems` are those that the repository is for, as `SUITE/ARCH`."""

    systems: tuple[str, ...]
    repository: Path
    models: Path
    names: tuple[str, ...]
    wheelhouses: tuple[Path, ...]


def gathered(parts: Parts) -> Members:
    """Each file of the bundle with where it comes from, or what is in it. Raises Refused."""
    members: Members = {
        "deploy": PROJECT / "packaging/bundle/deploy",
        "READ-ME-FIRST.txt": PROJECT / "packaging/bundle/READ-ME-FIRST.txt",
    }
    members |= {name: PROJECT / name for name in versioned(PROJECT)}
    members |= {f"repository/{path.relative_to(parts.repository)}": path for path in _of_the_repository(parts.repository)}
    members |= {f"wheelhouse/{path.name}": path for folder in parts.wheelhouses for path in folder.glob("*.whl")}
    models, described = _models(parts)
    members |= models
    about = {
        "version": hailo_whisper.__version__,
        "systems": sorted(parts.systems),
        "models": sorted(model["name"] for model in described),
        "packages": _packages(parts.repository),
        "weights": described,
        "wheels": sorted(name.removeprefix("wheelhouse/") for name in members if name.startswith("wheelhouse/")),
    }
    return members | {ABOUT: (json.dumps(about, indent=1) + "\n").encode()}


def time() -> int:
    """The time that every file in it has, in seconds since 1970: that of the version, so that the same parts make the same bundle."""
    changelog = (PROJECT / "packaging/debian/changelog").read_text(encoding="utf-8")
    first = next(line for line in changelog.splitlines() if line.startswith(" -- "))
    return int(parsedate_to_datetime(first.partition(">  ")[2]).timestamp())


def versioned(project: Path) -> list[str]:
    """What git knows, or does not know yet: neither caches nor what an editor leaves; and of the inventories none but the examples.

    An operator's own inventory lies beside them, with passwords in it, and the bundle goes through many hands.
    """

    def listed(*options: str) -> list[str]:
        command = ["git", "ls-files", "-z", *options, "--", *OF_THE_PROJECT]
        return subprocess.run(command, cwd=project, capture_output=True, text=True, check=True).stdout.split("\0")

    new = [name for name in listed("--others", "--exclude-standard") if not name.startswith("inventory/")]
    return [name for name in listed("--cached") + new if name and (project / name).is_file()]


def _of_the_repository(folder: Path) -> Iterable[Path]:
    for top in OF_THE_REPOSITORY:
        yield from (path for path in [folder / top, *(folder / top).rglob("*")] if path.is_file() and "by-hash" not in path.parts)


def _models(parts: Parts) -> tuple[Members, list[dict[str, Any]]]:
    """The files of the models, each compared with the sum in the catalog; and what they are."""
    store = Store(parts.models)
    members: Members = {}
    described = []
    for name in parts.names:
        try:
            store.verify(name)
            model = store.model(name)
        except Failure as failure:
            raise Refused(str(failure)) from failure
        members |= {f"models/{model.name}/{file}": parts.models / model.name / file for file in model.files}
        sums: Mapping[str, Any] = {
            file: {"size": known.size, "sha256": known.sha256} for file, known in sorted(model.files.items())
        }
        described.append({"name": model.name, "aliases": list(model.aliases), "licence": model.licence, "files": sums})
    return members, described


def _packages(repository: Path) -> list[dict[str, str]]:
    """Every package by name, version, architecture and sum: the bill of materials of what Debian gave, too."""
    fields = ("Package", "Version", "Architecture", "SHA256")
    found = set()
    for index in repository.glob("dists/*/main/binary-*/Packages"):
        for stanza in index.read_text(encoding="utf-8").strip().split("\n\n"):
            known = dict(re.findall(r"^([A-Za-z0-9-]+): (.*)$", stanza, re.MULTILINE))
            if known:
                found.add((index.parents[2].name, *(known[field] for field in fields)))
    return [dict(zip(("suite", "name", "version", "arch", "sha256"), row, strict=True)) for row in sorted(found)]

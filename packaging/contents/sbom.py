"""The SBOM of the package: a list of all that it contains, in CycloneDX's JSON."""

import json
import os
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from .libraries import Library
from .projects import Project


def text(projects: Sequence[Project], libraries: Sequence[Library], version: str, arch: str) -> str:
    """The JSON. Its time is that of SOURCE_DATE_EPOCH, its number is made from its content: the same package has the same SBOM."""
    own = f"pkg:deb/hailo-whisper@{version}?arch={arch}"
    components = [_of_project(project, libraries) for project in projects]
    bill: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), UTC).isoformat(),
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": "hailo-whisper",
                "version": version,
                "purl": own,
                "licenses": _licence("Apache-2.0"),
            },
        },
        "components": components,
        "dependencies": [{"ref": own, "dependsOn": [component["bom-ref"] for component in components]}],
    }
    bill["serialNumber"] = uuid.uuid5(uuid.NAMESPACE_URL, own + json.dumps(bill)).urn
    return json.dumps(bill, indent=1, ensure_ascii=False) + "\n"


def _of_project(project: Project, libraries: Sequence[Library]) -> dict[str, Any]:
    purl = f"pkg:pypi/{project.name}@{project.version}"
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl,
        "name": project.name,
        "version": project.version,
        "purl": purl,
        "licenses": _licence(project.licence),
        "externalReferences": [{"type": "website", "url": project.home}],
    }
    # Beside the wheel of that project, in a folder of its name.
    brought = [library for library in libraries if library.path.startswith(f"{project.name.replace('-', '_')}.libs/")]
    if brought:
        component["components"] = [
            {
                "type": "library",
                "bom-ref": f"{purl}#{library.path}",
                "name": library.project,
                "licenses": _licence(library.licence),
                "externalReferences": [{"type": "website", "url": library.home}],
                "properties": [{"name": "file", "value": library.path}],
            }
            for library in brought
        ]
    return component


def _licence(expression: str) -> list[dict[str, Any]]:
    # What is in no list of SPDX's has no identifier there, and is an expression all the same.
    if " " in expression or expression.startswith("LicenseRef-"):
        return [{"expression": expression}]
    return [{"license": {"id": expression}}]

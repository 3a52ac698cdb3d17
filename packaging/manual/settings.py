"""hailo-whisper.yaml(5)."""

import json
from collections.abc import Mapping
from typing import Any

from .roff import escape, prose, tagged, title


def page(schema: Mapping[str, Any]) -> str:
    """The whole page, from the JSON schema of the settings."""
    return "".join(
        [
            title("hailo-whisper.yaml", 5, "configuration of hailo-whisper"),
            ".SH SYNOPSIS\n\\fI/etc/hailo/hailo\\-whisper.yaml\\fR\n.SH DESCRIPTION\n",
            prose(
                "YAML with a section for each part of the service. A key that is left out has its default. A key that means nothing is refused, with the "
                "one that may have been meant. The file that comes with the program has every key with its default."
            ),
            "\n.PP\n",
            prose(
                "The service reads what `hailo-whisper config render` makes of it. After a change, run that and `systemctl reload hailo-whisper`, which loses no "
                "request. The sections `server`, `storage` and `resource_limits` need `systemctl daemon-reload` and `systemctl restart hailo-whisper.socket "
                "hailo-whisper.service` instead. `hailo-whisper config check` says whether a file is valid."
            ),
            "\n.PP\n",
            prose(
                "A file of an older `schema_version` is read as it was meant, and stays as it is; `hailo-whisper config migrate` rewrites it. One of a newer version "
                "is refused, and what was in force stays so."
            ),
            "\n.SH SETTINGS\n",
            *(_section(name, property_, schema["$defs"]) for name, property_ in schema["properties"].items()),
            ".SH SEE ALSO\n\\fBhailo\\-whisper\\fR(1)\n",
        ]
    )


def _section(name: str, described: Mapping[str, Any], sections: Mapping[str, Any]) -> str:
    if "$ref" not in described:
        return _setting(name, described)
    section = sections[described["$ref"].rsplit("/", 1)[1]]
    keys = "".join(_setting(f"{name}.{key}", setting) for key, setting in section["properties"].items())
    return f".SS {escape(name)}\n{prose(section['description'])}\n{keys}"


def _setting(name: str, described: Mapping[str, Any]) -> str:
    default = json.dumps(described["default"], ensure_ascii=False)
    return tagged(f"\\fB{escape(name)}\\fR (default: {escape(default)})", prose(described.get("description", "")))

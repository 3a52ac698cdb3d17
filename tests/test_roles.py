"""Every role has what a role must have, and its three lists of variables agree."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import ChainableUndefined
from jinja2.nativetypes import NativeEnvironment

PROJECT = Path(__file__).resolve().parent.parent
ROLES = sorted(path.name for path in (PROJECT / "roles").iterdir() if path.is_dir())


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def render(value: Any, **known: Any) -> Any:
    """The value that a default has when the inventory says nothing."""
    # As in Ansible, a part of what is not there is not there either, and `default` cures both.
    environment = NativeEnvironment(undefined=ChainableUndefined)
    return environment.from_string(value).render(known) if isinstance(value, str) else value


def defaults(role: str) -> dict[str, Any]:
    known = load(PROJECT / f"roles/{role}/defaults/main.yml")
    # What a default is made from may stand in vars, as one expression.
    variables = PROJECT / f"roles/{role}/vars/main.yml"
    helpers = {name: value for name, value in (load(variables) if variables.exists() else {}).items() if name.endswith("_host")}
    rendered_helpers = {name: render(value) for name, value in helpers.items()}
    return {name: render(value, **rendered_helpers) for name, value in known.items()}


def specification(role: str) -> dict[str, Any]:
    options: dict[str, Any] = load(PROJECT / f"roles/{role}/meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    return options


def documented(role: str) -> dict[str, Any]:
    text = (PROJECT / f"roles/{role}/README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (?:`\w+`)? ?\| `(.+?)` \|", text, re.MULTILINE)
    return {name: yaml.safe_load(default) for name, default in rows}


def test_the_roles_are_those_that_the_playbooks_use() -> None:
    plays = [play for path in (PROJECT / "playbooks").glob("*.yml") for play in load(path)]
    used = [entry["role"] for play in plays for entry in play.get("roles", [])]
    assert sorted(set(used)) == ROLES


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("file", ["README.md", "defaults/main.yml", "meta/argument_specs.yml", "meta/main.yml", "tasks/main.yml"])
def test_role_has(role: str, file: str) -> None:
    assert (PROJECT / "roles" / role / file).is_file()


@pytest.mark.parametrize("role", ROLES)
def test_defaults_specification_and_readme_agree(role: str) -> None:
    specified = {name: option["default"] for name, option in specification(role).items()}
    assert defaults(role) == specified
    assert documented(role) == specified


@pytest.mark.parametrize("role", ROLES)
def test_every_option_is_described(role: str) -> None:
    for name, option in specification(role).items():
        assert option["description"], name
        assert option["type"], name


@pytest.mark.parametrize("role", ROLES)
def test_inventory_names_in_the_readme_are_those_that_are_read(role: str) -> None:
    readme = (PROJECT / f"roles/{role}/README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `\w+` \| `(\w+)` \|", readme, re.MULTILINE))
    texts = [
        path.read_text(encoding="utf-8") for part in ("defaults", "vars") for path in (PROJECT / f"roles/{role}/{part}").glob("*")
    ]
    assert named <= set(re.findall(r"hailo_whisper_\w+", "".join(texts)))


def test_python_versions_agree_with_the_package() -> None:
    preflight = load(PROJECT / "roles/preflight/vars/main.yml")
    project = (PROJECT / "app/pyproject.toml").read_text(encoding="utf-8")
    assert f'">={preflight["preflight_python_from"]},<{preflight["preflight_python_below"]}"' in project

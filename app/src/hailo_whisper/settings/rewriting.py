"""A configuration file rewritten in the current layout: every byte that is not concerned stays, comments with it.

A library that reads YAML and writes it again would have an opinion on each line. Here only places are changed that PyYAML has told of, and what
comes out is read again and compared with what is wanted.
"""

import json
from typing import Any

import yaml

from ..failure import Failure
from . import migrations
from .migrations import Changed, Gone, Renamed, Step
from .schema import SCHEMA_VERSION

Entry = tuple[yaml.Node, yaml.Node]


class NotRewritten(Failure):
    """A file is written in a way that cannot be changed safely. The message says what to do by hand."""


def rewrite(text: str) -> str:
    """The text of a valid file in the current layout. Raises NotRewritten."""
    before = yaml.safe_load(text) or {}
    wanted = migrations.migrate(before)
    new = text
    for step in migrations.steps(wanted.version):
        new = _step(new, step)
    new = _numbered(new)
    if _plain(yaml.safe_load(new)) != _plain({"schema_version": SCHEMA_VERSION} | wanted.data):
        raise NotRewritten(
            f"The file is written in a way that cannot be changed safely. Change it by hand: {'; '.join(wanted.notes)}; then set schema_version to "
            f"{SCHEMA_VERSION}."
        )
    return new


def _plain(data: Any) -> Any:
    """Without sections that say nothing."""
    return {key: value for key, value in data.items() if value not in (None, {})}


def _step(text: str, step: Step) -> str:
    name, _, key = step.key.partition(".")
    section = _value(_root(text), name)
    found = _entry(section, key)
    if section is None or found is None:
        return text
    if isinstance(step, Changed):
        old = yaml.safe_load(_source(text, found[1]))
        return _replaced(text, found[1], json.dumps(step.convert(old), ensure_ascii=False))
    if isinstance(step, Gone):
        return _without(text, section, found, step.why)
    return _renamed(text, section, found, step)


def _renamed(text: str, section: yaml.MappingNode, found: Entry, step: Renamed) -> str:
    old, _, _ = step.key.partition(".")
    name, _, key = step.new.partition(".")
    if _entry(_value(_root(text), name), key):
        return text
    if name == old:
        return _replaced(text, found[0], key)
    source = _source(text, found[1]).strip()
    if "\n" in source:
        return text
    text = _without(text, section, found, f"it is {step.new} now")
    return _with(text, name, f"{key}: {source}")


def _without(text: str, section: yaml.MappingNode, found: Entry, why: str) -> str:
    """An entry taken out: in a section of lines it becomes a comment, between braces it goes."""
    begin, end = found[0].start_mark.index, found[1].end_mark.index
    if section.flow_style:
        entries = section.value
        at = next(index for index, (key, _) in enumerate(entries) if key is found[0])
        if at + 1 < len(entries):
            return text[:begin] + text[entries[at + 1][0].start_mark.index :]
        return text[: entries[at - 1][1].end_mark.index if at else begin] + text[end:]
    line = text.rfind("\n", 0, begin) + 1
    stop = text.find("\n", len(text[:end].rstrip()))
    stop = len(text) if stop < 0 else stop
    indent = text[line:begin]
    kept = "\n".join(f"{indent}# {each[len(indent) :]}" for each in text[line:stop].split("\n"))
    return f"{text[:line]}{indent}# Gone: {why}.\n{kept}{text[stop:]}"


def _with(text: str, name: str, entry: str) -> str:
    """An entry put into a section, as its first one; the section is made when it is not there."""
    root = _root(text)
    key = next((key for key, _ in root.value if key.value == name), None) if root else None
    section = _value(root, name)
    if key is None:
        return f"{text}{'' if text.endswith(chr(10)) else chr(10)}{name}:\n  {entry}\n"
    if section is None:
        # A section whose every line is a comment.
        line = text.find("\n", key.end_mark.index)
        line = len(text) if line < 0 else line
        return f"{text[:line]}\n  {entry}{text[line:]}"
    if section.flow_style:
        at = section.start_mark.index + 1
        return f"{text[:at]}{entry}{', ' if section.value else ''}{text[at:]}"
    at = section.value[0][0].start_mark.index
    indent = text[text.rfind("\n", 0, at) + 1 : at]
    return f"{text[:at]}{entry}\n{indent}{text[at:]}"


def _numbered(text: str) -> str:
    root = _root(text)
    found = _entry(root, "schema_version")
    if found:
        return _replaced(text, found[1], str(SCHEMA_VERSION))
    entry = f"schema_version: {SCHEMA_VERSION}"
    if root is None or not root.value:
        return f"{entry}\n{text}"
    at = root.value[0][0].start_mark.index
    return f"{text[:at]}{entry}{', ' if root.flow_style else chr(10)}{text[at:]}"


def _root(text: str) -> yaml.MappingNode | None:
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    return node if isinstance(node, yaml.MappingNode) else None


def _entry(section: yaml.MappingNode | None, key: str) -> Entry | None:
    return next((entry for entry in section.value if entry[0].value == key), None) if section else None


def _value(root: yaml.MappingNode | None, name: str) -> yaml.MappingNode | None:
    found = _entry(root, name)
    return found[1] if found and isinstance(found[1], yaml.MappingNode) else None


def _source(text: str, node: yaml.Node) -> str:
    return text[node.start_mark.index : node.end_mark.index]


def _replaced(text: str, node: yaml.Node, new: str) -> str:
    return text[: node.start_mark.index] + new + text[node.end_mark.index :]

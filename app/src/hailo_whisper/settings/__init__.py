"""The settings: one schema for the YAML in /etc/hailo, the JSON in the XDG folders and the environment.

Nothing here knows the rest of the program. Every setting has its default and its description in `schema` and nowhere else: the JSON
schema, the commented YAML and the manual are made from them. A key that is not in the schema is refused, with the nearest one
that is, because a misspelt setting that is silently ignored costs its owner an evening.
"""

from .reading import (
    RENDERED,
    SOURCE,
    ConfigurationInvalid,
    ConfigurationMissing,
    candidates,
    dump,
    load,
    names,
    parse,
    read,
)
from .schema import Access, Settings, Storage, Vad, Windows, schema

__all__ = [
    "RENDERED",
    "SOURCE",
    "Access",
    "ConfigurationInvalid",
    "ConfigurationMissing",
    "Settings",
    "Storage",
    "Vad",
    "Windows",
    "candidates",
    "dump",
    "load",
    "names",
    "parse",
    "read",
    "schema",
]

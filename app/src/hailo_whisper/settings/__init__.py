"""The settings: one schema for the YAML in /etc/hailo, the JSON in the XDG folders and the environment.

Nothing here knows the rest of the program. Every setting has its default and its description in `service` or `recognition` and nowhere else: the JSON
schema, the commented YAML and the manual are made from them. A key that is not in the schema is refused, with the nearest one
that is, because a misspelt setting that is silently ignored costs its owner an evening.
"""

from .migrations import Migrated, migrate
from .reading import (
    RENDERED,
    SOURCE,
    ConfigurationInvalid,
    ConfigurationMissing,
    candidates,
    dump,
    kept,
    load,
    names,
    parse,
    read,
)
from .recognition import Models, Vad, Windows
from .rewriting import NotRewritten, rewrite
from .schema import SCHEMA_VERSION, Settings, schema
from .service import Access, Storage

__all__ = [
    "RENDERED",
    "SCHEMA_VERSION",
    "SOURCE",
    "Access",
    "ConfigurationInvalid",
    "ConfigurationMissing",
    "Migrated",
    "Models",
    "NotRewritten",
    "Settings",
    "Storage",
    "Vad",
    "Windows",
    "candidates",
    "dump",
    "kept",
    "load",
    "migrate",
    "names",
    "parse",
    "read",
    "rewrite",
    "schema",
]

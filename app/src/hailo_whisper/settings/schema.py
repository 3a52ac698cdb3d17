"""The schema of the settings: every section by its name. Their keys, each with its default, its bounds and its description, are in `service` and `recognition`."""

from typing import Any, Final, Literal

from pydantic import Field

from .recognition import Cuda, Engine, Hailo, Model, Models, Transcription, Vad, Windows
from .section import Section
from .service import Access, Limits, Log, ResourceLimits, Server, Storage

SCHEMA_VERSION: Final = 1


class Settings(Section):
    """Every setting of hailo-whisper."""

    schema_version: Literal[1] = Field(SCHEMA_VERSION, description="Version of this file's layout. Leave it as it is.")
    server: Server = Field(default_factory=Server, description=Server.__doc__)
    access: Access = Field(default_factory=Access, description=Access.__doc__)
    model: Model = Field(default_factory=Model, description=Model.__doc__)
    models: Models = Field(default_factory=Models, description=Models.__doc__)
    engine: Engine = Field(default_factory=Engine, description=Engine.__doc__)
    cuda: Cuda = Field(default_factory=Cuda, description=Cuda.__doc__)
    hailo: Hailo = Field(default_factory=Hailo, description=Hailo.__doc__)
    transcription: Transcription = Field(default_factory=Transcription, description=Transcription.__doc__)
    vad: Vad = Field(default_factory=Vad, description=Vad.__doc__)
    windows: Windows = Field(default_factory=Windows, description=Windows.__doc__)
    limits: Limits = Field(default_factory=Limits, description=Limits.__doc__)
    storage: Storage = Field(default_factory=Storage, description=Storage.__doc__)
    log: Log = Field(default_factory=Log, description=Log.__doc__)
    resource_limits: ResourceLimits = Field(default_factory=ResourceLimits, description=ResourceLimits.__doc__)


def schema() -> dict[str, Any]:
    """The published JSON schema of the settings (draft 2020-12)."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Settings.model_json_schema(),
        "title": "hailo-whisper",
    }


def sections() -> dict[str, type[Section]]:
    """The sections by their names."""
    found: dict[str, type[Section]] = {}
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            found[name] = field.annotation
    return found

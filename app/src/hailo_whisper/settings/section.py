"""What a section of the settings is."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of the settings. It takes its own keys only."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

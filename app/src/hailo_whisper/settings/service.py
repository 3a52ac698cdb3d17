"""The sections about the service: where it listens, whom it serves, what it may take, and where it keeps and says what."""

import ipaddress
import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from .section import Section

# Scheme, host and perhaps a port, as browsers send it (RFC 6454): compared as it is, so in lower case.
ORIGIN = r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?"


def _address(value: str) -> str:
    if value == "localhost":
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise ValueError("is not an IP address: use 127.0.0.1, 0.0.0.0, ::1, :: or an address of this machine") from None


def _origins(values: list[str]) -> list[str]:
    for value in values:
        if value != "*" and not re.fullmatch(ORIGIN, value):
            raise ValueError(
                f'{value!r} is no origin: write one as "https://app.example" or "http://localhost:3000", without a path'
            )
    return values


class Server(Section):
    """Where the service listens."""

    host: Annotated[str, AfterValidator(_address)] = Field(
        "127.0.0.1",
        description="Address to listen on. 127.0.0.1 is this machine only; 0.0.0.0 is every network that the machine is on.",
    )
    port: int = Field(11437, ge=1, le=65535, description="TCP port to listen on.")


class Access(Section):
    """Who may use the service."""

    keys: str | None = Field(
        None,
        pattern=r"^/",
        description="File with the API keys; `hailo-whisper keys` writes it. It has a line for each: `name:key`, or `name:sha256:` and "
        "the key's SHA-256 in hexadecimal digits. A change holds at once, without a reload. null: no key is asked for, and the service "
        "listens on this machine only.",
    )
    insecure: bool = Field(
        False, description="Listen on a network without keys: whoever reaches the machine may use the service."
    )
    requests_per_minute: int = Field(
        0,
        ge=0,
        le=100000,
        description="Most requests in any 60 seconds for each key, or for everybody together where no key is asked for; more are "
        "answered with 429 and Retry-After. 0: no limit.",
    )
    metrics: Literal["open", "keyed"] = Field("open", description="Whether GET /metrics asks for a key too.")
    cors_origins: Annotated[list[str], AfterValidator(_origins)] = Field(
        [],
        description='Origins of the web pages that may use the service from a browser, such as "https://app.example"; "*" is every '
        "page. Empty: none.",
    )

    @model_validator(mode="after")
    def _keyed(self) -> Self:
        if self.metrics == "keyed" and self.keys is None:
            raise ValueError("metrics cannot be keyed without keys: set access.keys too")
        return self


class Limits(Section):
    """What a request may cost, and how many there may be."""

    upload_mib: int = Field(25, ge=1, le=4096, description="Largest upload, in MiB.")
    duration_seconds: int = Field(14400, ge=1, le=86400, description="Longest recording, in seconds.")
    requests: int = Field(64, ge=1, le=10000, description="Most requests at a time; more are answered with 429 and Retry-After.")
    queued_seconds: int = Field(
        14400,
        ge=1,
        le=604800,
        description="Most sound that waits or is transcribed at a time, in seconds; more is answered with 429 and Retry-After. "
        "A recording that finds nothing waiting is always taken.",
    )
    deadline_seconds: float = Field(
        60.0, gt=0, le=86400, description="Seconds that a request may take at least, waiting counted in, before it is given up."
    )
    deadline_factor: float = Field(
        4.0, gt=0, le=1000, description="Seconds that a request or a batch may take besides, for each second of its sound."
    )
    batch_seconds: float = Field(
        30.0,
        gt=0,
        le=86400,
        description="Seconds that one batch of windows may take at least, before the worker is taken for hung and replaced.",
    )
    stall_seconds: float = Field(20.0, gt=0, le=3600, description="Seconds without a byte after which an upload is given up.")
    load_seconds: float = Field(
        180.0,
        gt=0,
        le=86400,
        description="Seconds that loading the model and its warm-up may take, before the worker is replaced.",
    )


class Storage(Section):
    """Where things lie on the disk."""

    models: str = Field("/var/lib/hailo-whisper/models", pattern=r"^/", description="Folder of the models.")
    cache: str = Field("/var/cache/hailo-whisper", pattern=r"^/", description="Folder of the service for what can be made again.")
    hub_cache: str | None = Field(
        None,
        pattern=r"^/",
        description="Folder of Hugging Face's cache, or one around it, that others fill: a model that is not in storage.models is looked for there by "
        "its name, and its sums are compared. Nothing is written to it. null: none.",
    )


class ResourceLimits(Section):
    """What the service may take of the machine, enforced by systemd."""

    memory_max: str | None = Field(
        None,
        pattern=r"^([0-9]+(\.[0-9]+)?[KMGT]?|[0-9]+(\.[0-9]+)?%)$",
        description='Most memory, as systemd writes MemoryMax=: "2G" or "50%". null: no limit.',
    )
    cpu_quota: str | None = Field(
        None,
        pattern=r"^[0-9]+(\.[0-9]+)?%$",
        description='Most CPU time, as systemd writes CPUQuota=: "150%" is one core and a half. null: no limit.',
    )


class Log(Section):
    """What the journal is told."""

    format: Literal["auto", "text", "json"] = Field(
        "auto", description="Form of the lines. auto: JSON in the journal, text on a terminal."
    )
    transcripts: bool = Field(False, description="Write what was said into the log. Off, no text and no sound is ever logged.")

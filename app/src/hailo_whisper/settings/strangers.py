"""Names in the environment that other speech servers read, and what they are called here.

People bring their compose files along. A name that is silently ignored costs them an evening, so it is refused, with the one that they mean.
"""

import re
from collections.abc import Mapping

from .mistakes import nearest

SPEACHES = "speaches"
WEBSERVICE = "whisper-asr-webservice"
LINUXSERVER = "linuxserver/faster-whisper"

KIND = "HAILO_WHISPER_ENGINE_KIND (auto, ctranslate2, cuda or hailo)"
KEPT = "HAILO_WHISPER_MODEL_KEEP_ALIVE"
KEY = "a secret: the file /run/secrets/hailo-whisper-key, with the key in it"
NEVER = "nothing: this service fetches nothing while it runs"

STRANGERS: Mapping[str, tuple[str, str]] = {
    "WHISPER__MODEL": (SPEACHES, "WHISPER_MODEL"),
    "WHISPER__INFERENCE_DEVICE": (SPEACHES, KIND),
    "WHISPER__DEVICE_INDEX": (SPEACHES, "HAILO_WHISPER_CUDA_DEVICE_INDEX"),
    "WHISPER__COMPUTE_TYPE": (SPEACHES, "HAILO_WHISPER_MODEL_COMPUTE_TYPE"),
    "WHISPER__CPU_THREADS": (SPEACHES, "HAILO_WHISPER_MODEL_THREADS"),
    "WHISPER__NUM_WORKERS": (SPEACHES, "HAILO_WHISPER_MODEL_WORKERS"),
    "WHISPER__TTL": (SPEACHES, KEPT),
    "STT_MODEL_TTL": (SPEACHES, KEPT),
    "PRELOAD_MODELS": (
        SPEACHES,
        "WHISPER_MODEL for the one that is loaded at the start, and HAILO_WHISPER_MODELS_OFFERED for others",
    ),
    "ALLOW_ORIGINS": (SPEACHES, "HAILO_WHISPER_ACCESS_CORS_ORIGINS"),
    "UVICORN_HOST": (SPEACHES, "HAILO_WHISPER_SERVER_HOST"),
    "UVICORN_PORT": (SPEACHES, "HAILO_WHISPER_SERVER_PORT"),
    "API_KEY": (SPEACHES, KEY),
    "ENABLE_UI": (SPEACHES, "nothing: there is no web page"),
    "LOOPBACK_HOST_URL": (SPEACHES, "nothing: there is no web page"),
    "ASR_ENGINE": (WEBSERVICE, KIND),
    "ASR_MODEL": (WEBSERVICE, "WHISPER_MODEL"),
    "ASR_MODEL_PATH": (WEBSERVICE, "MODEL_CACHE_DIR for a cache, or WHISPER_MODEL_PATH for the folder of one model"),
    "ASR_DEVICE": (WEBSERVICE, KIND),
    "ASR_QUANTIZATION": (WEBSERVICE, "HAILO_WHISPER_MODEL_COMPUTE_TYPE"),
    "MODEL_IDLE_TIMEOUT": (WEBSERVICE, KEPT),
    "SAMPLE_RATE": (WEBSERVICE, "nothing: sound of any rate is taken"),
    "WHISPER_BEAM": (LINUXSERVER, "HAILO_WHISPER_TRANSCRIPTION_BEAM"),
    "WHISPER_LANG": (LINUXSERVER, "HAILO_WHISPER_TRANSCRIPTION_LANGUAGE (null: detect it)"),
    "LOCAL_ONLY": (LINUXSERVER, NEVER),
    "HF_TOKEN": ("huggingface_hub", NEVER),
}
"""By the name: whose it is, and what it is here."""
OURS = ("HAILO_WHISPER", "HAILOWHISPER", "HAILO_WISPER", "WHISPER_", "ASR_")
"""What a name begins with that was hardly meant for anybody else."""

LINK = re.compile(r".+_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)")
"""What Kubernetes, and docker with --link, put into each container for a service: WHISPER_SERVICE_HOST for one that is called whisper."""
ADDRESS = re.compile(r"(tcp|udp|sctp)://")
COMPOSE = frozenset(f"HAILO_WHISPER_{name}" for name in ("CPUS", "IMAGE", "KEY_FILE", "MEMORY", "USER"))
"""What packaging/docker/compose.yml itself reads; who hands its whole .env to the container hands them over too."""


def meant_for_others(name: str, value: str) -> bool:
    """Whether a name like ours was not written for this program: it is another's way to tell of a service, or is compose's."""
    return name in COMPOSE or bool(LINK.fullmatch(name) or (name.endswith("_PORT") and ADDRESS.match(value)))


def refusals(environ: Mapping[str, str], known: Mapping[str, object]) -> list[str]:
    """A sentence for each name that was meant for this service and means nothing to it; `known` are those that do."""
    found = []
    for name in sorted(environ.keys() - known.keys()):
        if meant_for_others(name, environ[name]):
            continue
        if name in STRANGERS:
            program, here = STRANGERS[name]
            found.append(f"{name} sets nothing. {program} calls it so; here it is {here}.")
        elif name.startswith(OURS):
            found.append(f"{name} sets nothing.{nearest(name, known)}")
    return found

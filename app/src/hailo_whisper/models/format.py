"""What kind of model a folder holds: whoever names a folder of their own may name one that was made for another program."""

import struct
from pathlib import Path

from .unusable import ModelUnusable

WEIGHTS = "model.bin"
SPECIFICATION = b"WhisperSpec"
# CTranslate2's: the version of the format, and the length of the name of the kind of model, which comes next, with its zero.
HEAD = struct.Struct("<IH")
LONGEST_NAME = 100

IMPORT = "`hailo-whisper models import` makes a folder for this service of such a file."
# By the ending of what lies in the folder: who reads it, and what can be done with it here.
OTHERS = {
    ".hef": ("a Hailo accelerator", ""),
    ".pt": ("OpenAI's own Whisper", IMPORT),
    ".safetensors": ("the library Transformers", ""),
    ".onnx": ("ONNX Runtime", ""),
    ".gguf": ("whisper.cpp", ""),
}


def check_whisper(folder: Path) -> None:
    """Raise ModelUnusable when the folder holds a model, but not Whisper in CTranslate2 form. Reads the first bytes of it."""
    other, cure = _other(folder)
    if other:
        raise ModelUnusable(
            f"The model folder {folder} holds a model for {other}, and this service needs Whisper in CTranslate2 form. "
            + (cure or "Set model.path (or WHISPER_MODEL_PATH) to such a folder, or leave it unset.")
            + " `hailo-whisper models list` shows the models that can be pulled."
        )


def _other(folder: Path) -> tuple[str, str]:
    """For whom it is, when it is not for us, and the cure if there is one. Empty when nothing speaks against it."""
    try:
        names = [path.name for path in folder.iterdir()]
        if WEIGHTS in names:
            return _by_head(folder / WEIGHTS)
    # Whoever looks at the files next says what is wrong with them.
    except OSError:
        return "", ""
    return next((OTHERS[ending] for ending in OTHERS if any(name.endswith(ending) for name in names)), ("", ""))


def _by_head(weights: Path) -> tuple[str, str]:
    with weights.open("rb") as file:
        head = file.read(HEAD.size + LONGEST_NAME)
    # Cut off within the first bytes: that is for others to say.
    if len(head) < HEAD.size + LONGEST_NAME:
        return "", ""
    _, length = HEAD.unpack_from(head)
    name = head[HEAD.size : HEAD.size + length].rstrip(b"\0")
    if name == SPECIFICATION:
        return "", ""
    if 0 < length <= LONGEST_NAME and name.isalnum():
        return f"another task (it is a {name.decode('ascii', 'replace')} of CTranslate2)", ""
    return "another program", ""
